"""The hybrid cache: a first level in the process, a second one shared, and notices between the processes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from tradesense.core.ambient import Clock, Random
from tradesense.core.cache.compression import Zlib
from tradesense.core.cache.engine import Engine
from tradesense.core.cache.envelope import Codec
from tradesense.core.cache.models import CacheStats, check_key
from tradesense.core.cache.named import NamedCache
from tradesense.core.cache.near import Near
from tradesense.core.cache.options import EntryOptions
from tradesense.core.cache.ports import Backplane, CacheStore, Compressor, LockProvider
from tradesense.core.cache.recovery import Recovery
from tradesense.core.cache.report import CacheHealth, Report
from tradesense.core.cache.tags import EVERYTHING, OWN, tag_key
from tradesense.core.errors import InvalidCacheKey
from tradesense.core.telemetry.ports import HealthCheck, Telemetry

RECOVER_SECONDS = 0.25
"""How often outstanding changes are tried again, and the state is measured."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
T = TypeVar("T")


class HybridCache:
    """The cache of one process, of which services hold a :class:`NamedCache` each.

    A read looks in the process first, then in the shared store; a change is told to the other processes. Without the
    shared store, or without the backplane, it goes on in the process and makes up for what was missed as soon as they
    are back. ``near_ttl`` bounds, in seconds, how long a process may serve a value that another one has replaced while
    the notice was lost.
    """

    def __init__(
        self,
        *,
        far: CacheStore,
        backplane: Backplane,
        clock: Clock,
        random: Random,
        telemetry: Telemetry,
        locks: LockProvider | None = None,
        near: Near | None = None,
        near_ttl: float = 1.0,
        compressor: Compressor | None = None,
        compress_over: int = 4096,
        options: EntryOptions | None = None,
        named: Mapping[str, EntryOptions] | None = None,
        recovery: Recovery | None = None,
    ) -> None:
        """Make it of its parts.

        :param locks: leases over all processes that share ``far``; ``None`` where no other process does.
        :param options: of named caches that have none of their own in ``named``.
        """
        compressors: list[Compressor] = [Zlib(), *([compressor] if compressor else [])]
        self._engine = Engine(
            near=Near() if near is None else near,
            far=far,
            backplane=backplane,
            locks=locks,
            clock=clock,
            random=random,
            compressor=compressors[-1],
            compressors={one.name: one for one in compressors},
            compress_over=compress_over,
            near_ttl=near_ttl,
            recovery=Recovery() if recovery is None else recovery,
        )
        self._report = Report(self._engine, telemetry)
        self._options = options or EntryOptions()
        self._named = dict(named or {})
        self._made: dict[str, tuple[object, NamedCache[object]]] = {}

    def named(self, name: str, kind: type[T], *, options: EntryOptions | None = None) -> NamedCache[T]:
        """The cache of that name, for values of the type ``kind``. Asking again gives the same one.

        :param options: what the service thinks right; settings go before it.
        :raises ValueError: the name is not one, or values of another type stand under it.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a cache: lower-case letters, digits, dots, dashes, 64 at most")
        known = self._made.get(name)
        if known is None:
            engine = self._engine
            codec = Codec(kind, compressor=engine.compressor, known=engine.compressors, over=engine.compress_over)
            made: NamedCache[T] = NamedCache(engine, name, codec, self._named.get(name) or options or self._options)
            self._made[name] = (kind, made)  # type: ignore[assignment]  # the kind beside it says what it holds
            return made
        if known[0] != kind:
            raise ValueError(f"the cache {name!r} holds {known[0]}, not {kind}")
        return known[1]  # type: ignore[return-value]  # the kind beside it is the same

    async def invalidate(self, keys: Sequence[str] = (), *, tags: Sequence[str] = ()) -> int | None:
        """Let neither the keys (``NAME:KEY``) nor anything with one of the tags be served any more, in any process.

        Returns how many of the keys the shared store held; ``None`` when it is away. This process no longer serves
        them in either case; the store and the others are told when they are back. Every entry has the tag ``*``, and
        each of a named cache the tag ``*NAME``.

        :raises InvalidCacheKey: a key or a tag is not valid; nothing is invalidated then.
        """
        for key in keys:
            if check_key(key).startswith(OWN):
                raise InvalidCacheKey(f"what begins with {OWN} is the cache's own; an entry is NAME:KEY")
        for tag in tags:
            tag_key(tag)
        told = not tags or await self._engine.invalidate(tags)
        removed = await self._engine.remove(keys) if keys else 0
        return removed if told else None

    async def clear(self) -> bool:
        """Let no entry of any named cache be good any more; ``False`` when other processes are told later."""
        return await self._engine.invalidate([EVERYTHING])

    async def run(self) -> None:
        """Hear what other processes change, and make up for what was missed. Runs until it is cancelled.

        :raises AdapterClosed: the backplane or the store was closed.
        """
        listening = asyncio.create_task(self._engine.notices.listen())
        try:
            while not listening.done():
                await self._engine.recover()
                self._report.measure()
                await asyncio.wait((listening,), timeout=RECOVER_SECONDS)
            await listening
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait((listening,))

    async def probe(self) -> bool:
        """Ask the shared store whether it is there."""
        return await self._engine.far.probe()

    def stats(self) -> CacheStats:
        """Counts since this process opened the cache, and how it is now."""
        return self._report.stats()

    @property
    def health(self) -> HealthCheck:
        """For `/health`: degraded while the cache goes on in the process alone."""
        return CacheHealth(self._report)

    async def aclose(self) -> None:
        """End what is being made. Nothing may be asked of the cache afterwards."""
        await self._engine.flights.cancel()
