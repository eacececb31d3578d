"""Exact limits within one process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.ambient import Clock
from tradesense.core.cache.models import Attempt, Limit, Verdict, check_attempts, check_cost, check_limit
from tradesense.core.cache.ports import RateLimiter
from tradesense.core.cache.window import ROUNDING, Window


class _Logs:
    """The counts of one backend, the least recently tried first."""

    def __init__(self, _: MemoryState) -> None:
        self.of: OrderedDict[tuple[str, str], Window] = OrderedDict()


class MemoryLimiter(Lifecycle):
    """A sliding log of attempts over one :class:`MemoryState`. See :class:`RateLimiter`.

    It counts at most ``max_limits`` keys. Those whose attempts have stopped counting go first; above that, the one
    that was not tried for longest.
    """

    def __init__(self, state: MemoryState, *, clock: Clock, max_limits: int = 100_000) -> None:
        super().__init__()
        self._logs = state.part(_Logs)
        self._clock = clock
        self._max_limits = max_limits

    async def hit(self, key: str, limit: Limit, *, cost: int = 1) -> Verdict:
        """See :meth:`RateLimiter.hit`."""
        self.check_open()
        check_limit(limit)
        check_cost(limit, cost)
        now = self._clock.monotonic()
        log = self._current(key, limit, now)
        return log.verdict(limit, cost, now, count=True)

    async def hit_many(self, attempts: Sequence[Attempt]) -> tuple[Verdict, ...]:
        """See :meth:`RateLimiter.hit_many`."""
        self.check_open()
        check_attempts(attempts)
        now = self._clock.monotonic()
        logs = [self._current(attempt.key, attempt.limit, now) for attempt in attempts]
        pairs = list(zip(attempts, logs, strict=True))
        allowed = all(attempt.shadow or log.fits(attempt.limit, attempt.cost, now) for attempt, log in pairs)
        return tuple(log.verdict(attempt.limit, attempt.cost, now, count=allowed) for attempt, log in pairs)

    async def reset(self, key: str, limit: Limit) -> None:
        """See :meth:`RateLimiter.reset`."""
        self.check_open()
        self._logs.of.pop((limit.name, key), None)

    def _current(self, key: str, limit: Limit, now: float) -> Window:
        log = self._log((limit.name, key), now)
        log.forget(now - limit.period + ROUNDING)
        return log

    def _log(self, place: tuple[str, str], now: float) -> Window:
        logs = self._logs.of
        log = logs.get(place)
        if log is None:
            log = logs[place] = Window(until=now)
            self._make_room(now)
        else:
            logs.move_to_end(place)
        return log

    def _make_room(self, now: float) -> None:
        """Drop the two oldest that have stopped counting, which outruns one new key a call, and what is too much."""
        logs = self._logs.of
        for _ in range(2):
            oldest = next(iter(logs))
            if logs[oldest].until >= now and len(logs) <= self._max_limits:
                return
            del logs[oldest]


_: type[RateLimiter] = MemoryLimiter
