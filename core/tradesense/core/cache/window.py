"""A sliding window over attempts: what limiters that count exactly have in common."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tradesense.core.cache.models import Limit, Verdict

ROUNDING = 1e-9
"""Seconds: who waits for exactly as long as was said is not sent away for the last digit of a float."""


@dataclass(slots=True)
class Window:
    """The attempts that were allowed within the last period: when, in seconds of any clock, and what each cost."""

    attempts: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    used: int = 0
    until: float = 0.0
    """When the last of them stops counting."""

    def forget(self, since: float) -> None:
        """Drop what is as old as ``since``, or older."""
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

    def wait(self, limit: Limit, cost: int, now: float) -> float:
        """Seconds until an attempt of ``cost`` fits; 0 when it does now."""
        over = self.used + cost - limit.count
        full = max(0.0, self.free_at(over) + limit.period - now) if over > 0 else 0.0
        if not self.attempts:
            return full
        apart = self.attempts[-1][0] + limit.gap(self.used) - now
        return max(full, apart) if apart > ROUNDING else full

    def fits(self, limit: Limit, cost: int, now: float) -> bool:
        """Whether an attempt of ``cost`` is allowed now."""
        return self.used + cost <= limit.count and not self.wait(limit, cost, now)

    def verdict(self, limit: Limit, cost: int, now: float, *, count: bool) -> Verdict:
        """What to say of an attempt, which is counted when it fits and ``count`` is true."""
        wait, fits = self.wait(limit, cost, now), self.fits(limit, cost, now)
        if fits and count:
            self.attempts.append((now, cost))
            self.used += cost
            self.until = now + limit.period
        return Verdict(
            allowed=fits,
            remaining=max(0, limit.count - self.used),
            retry_after=wait,
            reset_after=max(0.0, self.attempts[0][0] + limit.period - now) if self.attempts else 0.0,
        )
