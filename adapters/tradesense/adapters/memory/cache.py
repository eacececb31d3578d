"""The cache room in memory: values, messages, topics, leases and limits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from tradesense.adapters.memory._backplane import MemoryBackplane
from tradesense.adapters.memory._fences import MemoryFences
from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._limiter import MemoryLimiter
from tradesense.adapters.memory._locks import MemoryLocks
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory._topics import MemoryTopics
from tradesense.adapters.memory.settings import MemoryCacheSettings
from tradesense.core.ambient import Clock
from tradesense.core.cache.ports import CacheStore
from tradesense.plugins.manifest import AdapterContext, NoSettings


class _Entries:
    """Value and end by key, the least recently read first."""

    def __init__(self, _: MemoryState) -> None:
        self.of: OrderedDict[str, tuple[bytes, float]] = OrderedDict()


class MemoryCache(Lifecycle):
    """Values in the process, at most ``max_entries`` of them. See :class:`CacheStore`."""

    def __init__(self, state: MemoryState, *, clock: Clock, max_entries: int = 100_000) -> None:
        super().__init__()
        self._entries = state.part(_Entries).of
        self._now = clock.monotonic
        self._max_entries = max_entries

    async def get(self, key: str) -> bytes | None:
        """See :meth:`CacheStore.get`."""
        if not self._open:
            self.check_open()
        return self._get(key)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """See :meth:`CacheStore.set`."""
        self.check_open()
        self._set(key, value, self._now() + ttl)

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See :meth:`CacheStore.get_many`."""
        self.check_open()
        return {key: value for key in keys if (value := self._get(key)) is not None}

    async def set_many(self, items: Mapping[str, bytes], ttl: float) -> None:
        """See :meth:`CacheStore.set_many`."""
        self.check_open()
        until = self._now() + ttl
        for key, value in items.items():
            self._set(key, value, until)

    async def delete(self, *keys: str) -> int:
        """See :meth:`CacheStore.delete`."""
        self.check_open()
        now = self._now()
        removed = [entry for key in keys if (entry := self._entries.pop(key, None)) is not None]
        return sum(until > now for _, until in removed)

    async def expire(self, key: str, ttl: float) -> bool:
        """See :meth:`CacheStore.expire`."""
        self.check_open()
        value = self._get(key)
        if value is None:
            return False
        self._entries[key] = (value, self._now() + ttl)
        return True

    async def remaining(self, keys: Sequence[str]) -> dict[str, float]:
        """See :meth:`CacheStore.remaining`."""
        self.check_open()
        now = self._now()
        return {key: left for key in keys if key in self._entries and (left := self._entries[key][1] - now) > 0}

    def _get(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= self._now():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def _set(self, key: str, value: bytes, until: float) -> None:
        self._entries[key] = (value, until)
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)


def store(settings: MemoryCacheSettings, context: AdapterContext) -> MemoryCache:
    """The factory of the cache."""
    state = context.share(MemoryState, MemoryState)
    return MemoryCache(state, clock=context.clock, max_entries=settings.max_entries)


def backplane(_: NoSettings, context: AdapterContext) -> MemoryBackplane:
    """The factory of the backplane."""
    return MemoryBackplane(context.share(MemoryState, MemoryState))


def locks(_: NoSettings, context: AdapterContext) -> MemoryLocks:
    """The factory of the leases."""
    return MemoryLocks(context.share(MemoryState, MemoryState), clock=context.clock, random=context.random)


def fences(_: NoSettings, context: AdapterContext) -> MemoryFences:
    """The factory of the fences."""
    return MemoryFences(context.share(MemoryState, MemoryState))


def limiter(settings: MemoryCacheSettings, context: AdapterContext) -> MemoryLimiter:
    """The factory of the limits."""
    state = context.share(MemoryState, MemoryState)
    return MemoryLimiter(state, clock=context.clock, max_limits=settings.max_limits)


def topics(_: NoSettings, context: AdapterContext) -> MemoryTopics:
    """The factory of the topics."""
    return MemoryTopics(context.share(MemoryState, MemoryState), clock=context.clock)


_: type[CacheStore] = MemoryCache
