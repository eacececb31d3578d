"""One named cache over both levels: finding entries, and keeping them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tradesense.core.cache.ending import Ended, end, end_copy
from tradesense.core.cache.engine import Engine
from tradesense.core.cache.envelope import Codec, Envelope, Unreadable, seal, unseal
from tradesense.core.cache.far import AT_ONCE
from tradesense.core.cache.link import RETRY_SECONDS
from tradesense.core.cache.near import NEVER, Entry
from tradesense.core.cache.options import EntryOptions
from tradesense.core.cache.packed import Packed
from tradesense.core.cache.tags import EVERYTHING, tag_key, whole

TOUCH_PART = 0.1
"""The part of a sliding time after which a read moves the end on; so often, and no oftener, is the store told."""
T = TypeVar("T")


@dataclass(slots=True)
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
        await self._date(opened)
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
        values: Mapping[str, Packed[T]],
        options: EntryOptions,
        tags: tuple[str, ...],
        *,
        created: float,
        etag: str = "",
        modified: str = "",
    ) -> Kept:
        """Put the values into the first level."""
        wall = self.engine.wall()
        shorter = 1.0 - options.jitter * self.engine.chance() if options.jitter else 1.0
        kept, keeps = Kept({}, {}, 0.0, created), wall
        for key, packed in values.items():
            absent = packed.value is None
            ttl = shorter * (options.negative_ttl if absent else options.ttl)
            envelope = Envelope(
                created=created,
                ttl=ttl,
                expires=wall + ttl,
                keeps=wall + ttl + (0.0 if absent else options.fail_safe),
                sliding=options.sliding,
                eager=options.eager,
                tags=(*self._implicit, *tags),
                etag=etag,
                modified=modified,
                packing=packed.packing,
                payload=packed.payload,
            )
            kept.entries[key] = self._entry(envelope, packed.value, packed.plain, options.size)
            kept.sealed[key] = seal(envelope)
            keeps = max(keeps, envelope.keeps)
        kept.life = min(_left(keeps, wall), options.sliding or NEVER)
        for key, entry in kept.entries.items():
            self.engine.near.put(key, entry)
        return kept

    async def hand_on(self, kept: Kept) -> None:
        """Give the shared store what was kept, and tell the other processes."""
        await self.engine.far.write_many(kept.sealed, kept.life, kept.created)
        await self.engine.changed(tuple(kept.sealed), kept.created)

    def ended(self, key: str, data: bytes | None, stamp: float) -> Ended | None:
        """The entry as one whose life is over: that of the store or, without ``data``, the copy of this process."""
        wall = self.engine.wall()
        if data is not None:
            try:
                return end(unseal(data), wall=wall, stamp=stamp)
            except Unreadable:
                return None
        entry = self.engine.near.entries.get(key)
        if entry is None:
            return None
        _, packing, payload = self.codec.encode(self.value(entry))
        return end_copy(entry, packing, payload, now=self.engine.now(), wall=wall, stamp=stamp)

    async def touch(self, key: str, entry: Entry) -> None:
        """Move the end of a sliding entry on, in both levels."""
        now = self.engine.now()
        if now >= entry.touch_at:
            entry.touch_at = now + TOUCH_PART * entry.sliding
            left = entry.fresh_until - now
            entry.stale_until = now + min(entry.sliding, left)
            entry.ready()
            await self.engine.far.touch(key, min(entry.sliding, left))

    async def touch_many(self, entries: Mapping[str, Entry]) -> None:
        """:meth:`touch` for those that are sliding, a few at a time."""
        sliding = [(key, entry) for key, entry in entries.items() if entry.sliding]
        for start in range(0, len(sliding), AT_ONCE):
            await asyncio.gather(*(self.touch(key, entry) for key, entry in sliding[start : start + AT_ONCE]))

    async def _learn(self, entries: Iterable[Entry]) -> None:
        engine = self.engine
        wanted = {tag for entry in entries for tag in entry.tags}
        tags = engine.tags.unknown(wanted, engine.now())
        if tags:
            found, answered = await engine.far.read([tag_key(tag) for tag in tags])
            if answered:
                engine.tags.read(tags, found, engine.now())

    async def _date(self, opened: Mapping[str, Entry]) -> None:
        """Let the store's clock say how old the entries are that it keeps beyond their life.

        Whoever wrote them may have had a clock that is ahead of ours. The others end in the store when their life does;
        an entry that this process has already was dated when it came.
        """
        engine, now = self.engine, self.engine.now()
        unsure = [
            key
            for key, entry in opened.items()
            if now < entry.fresh_until < entry.stale_until
            and engine.recovery.get(key) is None
            and ((held := engine.near.entries.get(key)) is None or held.created != entry.created)
        ]
        left = await engine.far.remaining(unsure) if unsure else None
        if left is not None:
            for key in unsure:
                opened[key].lasts(now + left.get(key, 0.0))

    def _stands(self, entry: Entry) -> bool:
        """Whether no tag has been invalidated since."""
        tags = self.engine.tags
        if entry.generation == tags.generation:
            return True
        if tags.outdated(entry.born, entry.tags):
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
            # A stale value may have been given more time here; no other has more than when it came.
            entry.fresh_until = current.fresh_until
            if not entry.sliding:
                entry.stale_until = current.stale_until
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
        self.engine.seen(envelope.created)
        entry = self._entry(envelope, value, plain, self.options.size)
        if envelope.sliding:
            entry.touch_at = self.engine.now()
        return entry

    def _entry(self, envelope: Envelope, value: T | None, plain: bytes, size: int) -> Entry:
        now, wall = self.engine.now(), self.engine.wall()
        # No longer than it had from the first, whatever the clock said of the process that wrote it.
        left, beyond = min(_left(envelope.expires, wall), envelope.ttl), envelope.keeps - envelope.expires
        fresh = now + left
        sliding = envelope.sliding
        entry = Entry(
            value=value if self.codec.shareable else None,
            plain=b"" if self.codec.shareable else plain,
            created=envelope.created,
            born=envelope.birth,
            tags=envelope.tags,
            etag=envelope.etag,
            modified=envelope.modified,
            near_until=now + self.engine.near_ttl,
            fresh_until=fresh,
            stale_until=now + min(_left(envelope.keeps, wall), round(envelope.ttl + beyond, 6), sliding or NEVER),
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
