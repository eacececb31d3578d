"""One named cache over both levels: finding entries, and keeping them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec.structs import replace

from tradesense.core.cache.engine import Engine
from tradesense.core.cache.envelope import Codec, Envelope, Unreadable, seal, unseal
from tradesense.core.cache.link import RETRY_SECONDS
from tradesense.core.cache.near import NEVER, Entry
from tradesense.core.cache.options import EntryOptions
from tradesense.core.cache.tags import EVERYTHING, tag_key, whole

TOUCH_PART = 0.1
"""The part of a sliding time after which a read moves the end on; so often, and no oftener, is the store told."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """Values that the first level has, and what the shared store is still to be given."""

    entries: dict[str, Entry]
    sealed: dict[str, bytes]
    life: float
    """Seconds that the store keeps them."""
    created: float


class Levels(Generic[T]):
    """Finds and keeps the entries of one named cache. Keys are whole ones here: name and key."""

    def __init__(self, engine: Engine, name: str, codec: Codec[T], options: EntryOptions) -> None:
        self.engine = engine
        self.codec = codec
        self.options = options
        self._implicit = (EVERYTHING, whole(name))

    def value(self, entry: Entry) -> T | None:
        """What the caller gets: the one object where nobody can change it, else one of his own."""
        if entry.shareable:
            value: T | None = entry.value
            return value
        return self.codec.decode(entry.plain)

    def fresh(self, entry: Entry | None) -> bool:
        """Whether the entry may be served as it is."""
        return entry is not None and self.engine.now() < entry.fresh_until

    def known(self, key: str) -> Entry | None:
        """The entry that may be served, fresh or stale, without asking anybody."""
        entry, now = self.engine.near.entries.get(key), self.engine.now()
        if entry is None or now >= entry.near_until or now >= entry.stale_until or not self._stands(entry):
            return None
        entry.ready()
        return entry

    async def look(self, key: str) -> Entry | None:
        """The entry, fresh or stale, from whichever level has it."""
        return self.known(key) or (await self.look_far([key])).get(key)

    async def look_far(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries of the shared store; while that is away, what this process still has of them."""
        engine, entries = self.engine, self.engine.near.entries
        before = {key: entries.get(key) for key in keys}
        tags = engine.tags.unknown(self._implicit, engine.now())
        found, answered = await engine.far.read([*keys, *map(tag_key, tags)])
        if answered:
            engine.tags.read(tags, found, engine.now())
        opened = {key: entry for key in keys if key in found and (entry := self._open(found[key])) is not None}
        await self._learn(opened.values())
        looked: dict[str, Entry] = {}
        for key in keys:
            entry = opened.get(key)
            if entry is None:
                if answered and before[key] is not None and entries.get(key) is before[key]:
                    engine.near.drop(key, 0.0)
                entry = self._carry_on(key) if not answered else None
            else:
                entry = self._placed(key, entry)
            if entry is not None:
                looked[key] = entry
        return looked

    def keep(
        self,
        values: Mapping[str, T | None],
        options: EntryOptions,
        tags: tuple[str, ...],
        *,
        created: float,
        etag: str = "",
        modified: str = "",
    ) -> Kept:
        """Put the values into the first level.

        :raises InvalidCacheValue: a value has no MessagePack form; nothing is kept then.
        :raises CacheValueTooLarge: a value is over 8 MiB; nothing is kept then.
        """
        wall = self.engine.wall()
        shorter = 1.0 - options.jitter * self.engine.chance() if options.jitter else 1.0
        kept = Kept({}, {}, self._life(options, shorter, values.values()), created)
        for key, value in values.items():
            plain, packing, payload = self.codec.encode(value)
            ttl = shorter * (options.negative_ttl if value is None else options.ttl)
            envelope = Envelope(
                created=created,
                ttl=ttl,
                expires=wall + ttl,
                keeps=wall + ttl + (0.0 if value is None else options.fail_safe),
                sliding=options.sliding,
                eager=options.eager,
                tags=(*self._implicit, *tags),
                etag=etag,
                modified=modified,
                packing=packing,
                payload=payload,
            )
            kept.entries[key] = self._entry(envelope, value, plain, options.size)
            kept.sealed[key] = seal(envelope)
        for key, entry in kept.entries.items():
            self.engine.near.put(key, entry)
        return kept

    async def hand_on(self, kept: Kept) -> None:
        """Give the shared store what was kept, and tell the other processes."""
        await self.engine.far.write_many(kept.sealed, kept.life, kept.created)
        await self.engine.changed(tuple(kept.sealed), kept.created)

    def expired(self, data: bytes, stamp: float) -> tuple[bytes, float, float] | None:
        """The stored entry as one whose life is over, how long it is still kept, and since when; ``None`` if it is not.

        It counts as born at ``stamp``, so that the copies of other processes are older.
        """
        try:
            envelope = unseal(data)
        except Unreadable:
            return None
        wall = self.engine.wall()
        if envelope.keeps <= max(wall, envelope.expires):
            return None
        ended = replace(envelope, expires=min(wall, envelope.expires), created=stamp)
        return seal(ended), envelope.keeps - wall, stamp

    async def touch(self, key: str, entry: Entry) -> None:
        """Move the end of a sliding entry on, in both levels."""
        now = self.engine.now()
        if now >= entry.touch_at:
            entry.touch_at = now + TOUCH_PART * entry.sliding
            left = entry.fresh_until - now
            entry.stale_until = now + min(entry.sliding, left)
            entry.ready()
            await self.engine.far.touch(key, min(entry.sliding, left))

    @staticmethod
    def _life(options: EntryOptions, shorter: float, values: Iterable[T | None]) -> float:
        """The longest that any of the values is kept."""
        lives = (options.negative_ttl if value is None else options.ttl + options.fail_safe for value in values)
        return min(shorter * max(lives), options.sliding or NEVER)

    async def _learn(self, entries: Iterable[Entry]) -> None:
        engine = self.engine
        wanted = {tag for entry in entries for tag in entry.tags}
        tags = engine.tags.unknown(wanted, engine.now())
        if tags:
            found, answered = await engine.far.read([tag_key(tag) for tag in tags])
            if answered:
                engine.tags.read(tags, found, engine.now())

    def _stands(self, entry: Entry) -> bool:
        """Whether no tag has been invalidated since."""
        tags = self.engine.tags
        if entry.generation == tags.generation:
            return True
        if tags.outdated(entry.created, entry.tags):
            return False
        entry.generation = tags.generation
        return True

    def _placed(self, key: str, entry: Entry) -> Entry | None:
        """The entry of the shared store, now in the first level as well, unless it is no longer good."""
        if not self._stands(entry):
            self.engine.near.drop(key, entry.created)
            return None
        now = self.engine.now()
        current = self.engine.near.entries.get(key)
        if current is not None and current.created > entry.created and self._stands(current):
            return current
        if current is not None and current.created == entry.created:
            entry.fresh_until = max(
                current.fresh_until, entry.fresh_until
            )  # a stale value may have been given more time
            entry.touch_at, entry.eager_at = current.touch_at, max(current.eager_at, entry.eager_at)
        if now >= entry.stale_until:
            return None
        entry.ready()
        self.engine.near.put(key, entry)
        return entry

    def _carry_on(self, key: str) -> Entry | None:
        """What this process has, while the shared store does not answer."""
        now = self.engine.now()
        entry = self.engine.near.entries.get(key)
        if entry is None or now >= entry.stale_until or not self._stands(entry):
            return None
        entry.near_until = now + RETRY_SECONDS
        entry.ready()
        return entry

    def _open(self, data: bytes) -> Entry | None:
        """The entry that the store's bytes are; ``None``, and counted, when they are none."""
        try:
            envelope = unseal(data)
            plain = self.codec.unpack(envelope)
            value = self.codec.decode(plain)
        except Unreadable:
            self.engine.counts.unreadable += 1
            return None
        entry = self._entry(envelope, value, plain, self.options.size)
        if envelope.sliding:
            entry.touch_at = self.engine.now()
        return entry

    def _entry(self, envelope: Envelope, value: T | None, plain: bytes, size: int) -> Entry:
        now, wall = self.engine.now(), self.engine.wall()
        fresh = now + _left(envelope.expires, wall)
        sliding = envelope.sliding
        entry = Entry(
            value=value if self.codec.shareable else None,
            plain=b"" if self.codec.shareable else plain,
            created=envelope.created,
            tags=envelope.tags,
            etag=envelope.etag,
            modified=envelope.modified,
            near_until=now + self.engine.near_ttl,
            fresh_until=fresh,
            stale_until=now + min(_left(envelope.keeps, wall), sliding or NEVER),
            eager_at=fresh - (1 - envelope.eager) * envelope.ttl if envelope.eager else NEVER,
            sliding=sliding,
            touch_at=now + TOUCH_PART * sliding if sliding else NEVER,
            shareable=self.codec.shareable,
            weight=size or len(plain),
        )
        entry.ready()
        return entry


def _left(instant: float, wall: float) -> float:
    """Seconds until ``instant``, without the last digits, which such large numbers do not hold."""
    return round(instant - wall, 6)
