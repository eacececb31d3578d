"""What the cache says of itself: counts, measurements and health."""

from __future__ import annotations

from dataclasses import fields

from tradesense.core.cache.engine import Counts, Engine
from tradesense.core.cache.models import CacheStats
from tradesense.core.telemetry.instruments import (
    CACHE_BACKEND_UP,
    CACHE_EVENTS,
    CACHE_EVICTIONS,
    CACHE_NEAR_BYTES,
    CACHE_NEAR_ENTRIES,
    CACHE_PENDING,
)
from tradesense.core.telemetry.models import Health, Status
from tradesense.core.telemetry.ports import HealthCheck, Record, Telemetry

EVENTS = tuple(field.name for field in fields(Counts))


class Report:
    """Reads the engine's counts. They are plain numbers, handed to telemetry in bulk, as a hit takes no time."""

    def __init__(self, engine: Engine, telemetry: Telemetry) -> None:
        self._engine = engine
        self._events = {name: telemetry.bind(CACHE_EVENTS, (name,)) for name in EVENTS}
        self._evictions = telemetry.bind(CACHE_EVICTIONS)
        self._entries = telemetry.bind(CACHE_NEAR_ENTRIES)
        self._bytes = telemetry.bind(CACHE_NEAR_BYTES)
        self._pending = telemetry.bind(CACHE_PENDING)
        self._up = telemetry.bind(CACHE_BACKEND_UP)
        self._told = dict.fromkeys((*EVENTS, "evictions"), 0)

    def measure(self) -> None:
        """Tell telemetry what has changed since the last time."""
        engine = self._engine
        for name, record in self._events.items():
            self._grown(name, getattr(engine.counts, name), record)
        self._grown("evictions", engine.near.evictions, self._evictions)
        self._entries(len(engine.near.entries))
        self._bytes(engine.near.bytes)
        self._pending(len(engine.recovery))
        self._up(float(not self.down()))

    def stats(self) -> CacheStats:
        """See :class:`CacheStats`."""
        engine, counts = self._engine, self._engine.counts
        return CacheStats(
            **{name: getattr(counts, name) for name in EVENTS},
            near_entries=len(engine.near.entries),
            near_bytes=engine.near.bytes,
            evictions=engine.near.evictions,
            pending=len(engine.recovery),
            lost=engine.recovery.lost,
            backend_up=not self.down(),
        )

    def down(self) -> list[str]:
        """What does not answer, with the reason."""
        far, link = self._engine.far, self._engine.notices.link
        links = (("reading", far.reads), ("writing", far.writes), ("removing", far.removals), ("notices", link))
        return [f"{name}: {one.detail}" for name, one in links if not one.up]

    def _grown(self, name: str, total: int, record: Record) -> None:
        if total > self._told[name]:
            record(total - self._told[name])
            self._told[name] = total


class CacheHealth:
    """Degraded while the cache goes on in the process alone."""

    name = "cache"
    essential = False

    def __init__(self, report: Report) -> None:
        self._report = report

    async def check(self) -> Health:
        """What is known already; nobody is asked."""
        down = self._report.down()
        if not down:
            return Health(name=self.name, status=Status.UP)
        waiting = self._report.stats().pending
        detail = f"{'; '.join(down)}; {waiting} changes wait"
        return Health(name=self.name, status=Status.DEGRADED, detail=detail)


_: type[HealthCheck] = CacheHealth
