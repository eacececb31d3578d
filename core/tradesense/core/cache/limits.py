"""Limits that hold on when the shared counter is away."""

from __future__ import annotations

from tradesense.core.cache.models import Limit
from tradesense.core.cache.ports import RateLimiter
from tradesense.core.errors import LimiterUnavailable, LimitExceeded
from tradesense.core.telemetry.instruments import LIMITER_FALLBACKS
from tradesense.core.telemetry.ports import Telemetry


class Throttle:
    """Counts in the shared limiter; while that is away, in this process, at ``1 / strictness`` of the limit."""

    def __init__(self, *, shared: RateLimiter, local: RateLimiter, telemetry: Telemetry, strictness: int = 4) -> None:
        self._shared = shared
        self._local = local
        self._telemetry = telemetry
        self._strictness = strictness

    async def attempt(self, key: str, limit: Limit) -> None:
        """Count one attempt and go on only if it is allowed.

        :raises LimitExceeded: it is not.
        """
        try:
            verdict = await self._shared.hit(key, limit)
        except LimiterUnavailable:
            self._telemetry.bind(LIMITER_FALLBACKS, (limit.name,))(1)
            strict = Limit(name=limit.name, count=max(1, limit.count // self._strictness), period=limit.period)
            verdict = await self._local.hit(key, strict)
        if not verdict.allowed:
            raise LimitExceeded("too many attempts", retry_after=verdict.retry_after, origin=limit.name)
