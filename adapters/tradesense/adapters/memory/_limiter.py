"""Exact limits within one process."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.ambient import Clock
from tradesense.core.cache.models import Limit, Verdict
from tradesense.core.cache.ports import RateLimiter

ROUNDING = 1e-9
"""Seconds: who waits for exactly as long as was said is not sent away for the last digit of a float."""


@dataclass(slots=True)
class _Log:
    """The attempts that were allowed within the last period: when, and what each cost."""

    attempts: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    used: int = 0
    until: float = 0.0
    """When the last of them stops counting."""

    def forget(self, since: float) -> None:
        while self.attempts and self.attempts[0][0] <= since:
            self.used -= self.attempts.popleft()[1]

    def free_at(self, needed: int) -> float:
        """When ``needed`` more have stopped counting, less the period."""
        freed = 0
        for at, cost in self.attempts:
            freed += cost
            if freed >= needed:
                return at
        return self.attempts[-1][0] if self.attempts else 0.0


class _Logs:
    """The counts of one backend, the least recently tried first."""

    def __init__(self, _: MemoryState) -> None:
        self.of: OrderedDict[tuple[str, str], _Log] = OrderedDict()


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
        now = self._clock.monotonic()
        log = self._log((limit.name, key), now)
        log.forget(now - limit.period + ROUNDING)
        over = log.used + cost - limit.count
        if over > 0:
            wait = max(0.0, log.free_at(over) + limit.period - now)
            return Verdict(allowed=False, remaining=max(0, limit.count - log.used), retry_after=wait)
        log.attempts.append((now, cost))
        log.used += cost
        log.until = now + limit.period
        return Verdict(allowed=True, remaining=limit.count - log.used, retry_after=0.0)

    async def reset(self, key: str, limit: Limit) -> None:
        """See :meth:`RateLimiter.reset`."""
        self.check_open()
        self._logs.of.pop((limit.name, key), None)

    def _log(self, place: tuple[str, str], now: float) -> _Log:
        logs = self._logs.of
        log = logs.get(place)
        if log is None:
            log = logs[place] = _Log(until=now)
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
