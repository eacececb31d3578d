"""The first level: entries in the process, bounded by their number and by their bytes.

What goes first is decided by S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): a
new key waits in a small queue and reaches the main one only when it is read again, so that a scan pushes out nothing
but itself, and a read costs one addition.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

NEVER = float("inf")
MAX_USED = 3
SMALL_PART = 20
"""The small queue holds one entry in this many."""
RECENT = 4096
"""Dropped keys whose time is remembered, so that a slow read of the shared store does not bring them back."""
OVERHEAD = 512
"""Bytes that an entry and its key take beside the value."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One entry as this process holds it. ``…_until`` and ``…_at`` are on the monotonic clock."""

    value: Any
    plain: bytes
    """The encoded value, for those who must each get an object of their own."""
    created: float
    born: float
    """See :class:`Envelope`, of this the ``birth``."""
    tags: tuple[str, ...]
    near_until: float
    """Until when nobody else needs to be asked."""
    fresh_until: float
    stale_until: float
    etag: str = ""
    modified: str = ""
    eager_at: float = NEVER
    sliding: float = 0.0
    touch_at: float = NEVER
    shareable: bool = True
    weight: int = 0
    used: int = 0
    generation: int = -1
    """That of the tags when they were last looked at."""
    quick_until: float = 0.0
    """Until when a read need look at nothing else."""

    def lasts(self, until: float) -> None:
        """Let it end as much earlier as it takes to be gone by ``until``; what is fresh of it ends first."""
        beyond = self.stale_until - self.fresh_until
        earlier = self.fresh_until - min(self.fresh_until, until - beyond)
        self.fresh_until -= earlier
        self.eager_at -= earlier
        self.stale_until = min(self.stale_until, until)

    def ready(self) -> None:
        """Work out ``quick_until`` anew."""
        first = min(self.near_until, self.fresh_until, self.eager_at, self.touch_at)
        self.quick_until = first if self.shareable else 0.0


class Near:
    """Entries by key. ``entries`` may be read; it is changed by the methods alone."""

    def __init__(self, *, max_entries: int = 10_000, max_bytes: int = 64 * 1024 * 1024) -> None:
        self.entries: dict[str, Entry] = {}
        self.bytes = 0
        self.evictions = 0
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._small: OrderedDict[str, None] = OrderedDict()
        self._main: OrderedDict[str, None] = OrderedDict()
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._recent: OrderedDict[str, float] = OrderedDict()

    def put(self, key: str, entry: Entry) -> bool:
        """Keep ``entry`` in place of what was there; ``False`` when it is older than a drop, or too large."""
        if self._recent.get(key, 0.0) > entry.created:
            return False
        entry.weight += len(key) + OVERHEAD
        if entry.weight > self._max_bytes:
            self._forget(key)
            return False
        former = self.entries.get(key)
        if former is not None:
            self.bytes -= former.weight
            entry.used = former.used
        elif self._ghosts.pop(hash(key), 0) is None:
            self._main[key] = None
        else:
            self._small[key] = None
        self.entries[key] = entry
        self.bytes += entry.weight
        while len(self.entries) > self._max_entries or self.bytes > self._max_bytes:
            self._evict()
        return True

    def drop(self, key: str, stamp: float) -> None:
        """Forget ``key``, and let nothing that was created before ``stamp`` take its place."""
        self._forget(key)
        self._recent[key] = max(stamp, self._recent.pop(key, 0.0))
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    def recheck(self) -> None:
        """Let the next read of every entry ask the shared store: notices may have been missed."""
        for entry in self.entries.values():
            entry.near_until = entry.quick_until = 0.0

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self._small.clear()
        self._main.clear()
        self._ghosts.clear()
        self.bytes = 0

    def _forget(self, key: str) -> None:
        entry = self.entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.weight
            if self._small.pop(key, 0) == 0:
                del self._main[key]

    def _evict(self) -> None:
        if not self._main or len(self._small) * SMALL_PART > len(self.entries):
            self._evict_small()
        else:
            self._evict_main()

    def _evict_small(self) -> None:
        key, _ = self._small.popitem(last=False)
        entry = self.entries[key]
        if entry.used:
            entry.used = 0
            self._main[key] = None
            return
        self._ghosts[hash(key)] = None
        while len(self._ghosts) > max(1, len(self.entries)):
            self._ghosts.popitem(last=False)
        self._remove(key, entry)

    def _evict_main(self) -> None:
        while True:
            key, _ = self._main.popitem(last=False)
            entry = self.entries[key]
            if not entry.used:
                self._remove(key, entry)
                return
            entry.used = min(entry.used, MAX_USED) - 1
            self._main[key] = None

    def _remove(self, key: str, entry: Entry) -> None:
        del self.entries[key]
        self.bytes -= entry.weight
        self.evictions += 1
