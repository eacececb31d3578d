"""Limits by policy: several in one decision, and a word for each on what holds when the shared counter is away."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum

import msgspec

from tradesense.core.cache.models import Attempt, Limit, Verdict
from tradesense.core.cache.ports import RateLimiter
from tradesense.core.errors import LimiterUnavailable, LimitExceeded
from tradesense.core.telemetry.instruments import LIMITER_DECISIONS, LIMITER_FALLBACKS
from tradesense.core.telemetry.models import Instrument
from tradesense.core.telemetry.ports import Record, Telemetry


class Fail(StrEnum):
    """What a policy says when the shared count is not known."""

    CLOSED = "closed"
    """Nobody goes on."""
    OPEN = "open"
    """Everybody goes on."""
    STRICTER = "stricter"
    """This process counts by itself, to a fraction of the limit."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A limit, and how it is applied."""

    limit: Limit
    cost: int = 1
    """What one attempt counts for, 1 to ``limit.count``."""
    fail: Fail = Fail.STRICTER
    shadow: bool = False
    """Counted and measured, not enforced: to see what a limit would do."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the policies together say of one attempt."""

    verdicts: tuple[tuple[Policy, Verdict], ...]
    """Of the policies that are enforced and know a count, in the order in which they were asked."""

    @property
    def refused(self) -> Policy | None:
        """The policy that asks to wait for longest; ``None`` when the attempt may go on."""
        refusals = [(verdict.retry_after, policy) for policy, verdict in self.verdicts if not verdict.allowed]
        return max(refusals, key=lambda refusal: refusal[0])[1] if refusals else None

    @property
    def retry_after(self) -> float:
        """Seconds until none of the policies would refuse; 0 when none does."""
        return max((verdict.retry_after for _, verdict in self.verdicts), default=0.0)


class Throttle:
    """Counts in the shared limiter; while that is away, as each policy says.

    Where a policy counts in this process, it is at ``1 / strictness`` of the limit.
    """

    def __init__(self, *, shared: RateLimiter, local: RateLimiter, telemetry: Telemetry, strictness: int = 4) -> None:
        self._shared = shared
        self._local = local
        self._telemetry = telemetry
        self._strictness = strictness
        self._records: dict[tuple[str, tuple[str, ...]], Record] = {}

    async def attempt(self, key: str, limit: Limit) -> None:
        """Count one attempt and go on only if it is allowed, by a policy that fails to the stricter limit.

        :raises LimitExceeded: it is not.
        """
        decision = await self.decide([(Policy(limit=limit), key)])
        if decision.refused is not None:
            raise LimitExceeded("too many attempts", retry_after=decision.retry_after, origin=limit.name)

    async def decide(self, asked: Sequence[tuple[Policy, str]]) -> Decision:
        """Count one attempt under several policies, each with its key, in one round trip.

        :raises LimiterUnavailable: the shared count is away, and one of the policies fails closed.
        """
        try:
            verdicts = await self._shared.hit_many([_attempt(policy, key) for policy, key in asked])
        except LimiterUnavailable:
            for policy, _ in asked:
                self._count(LIMITER_FALLBACKS, policy.limit.name)
            if any(policy.fail is Fail.CLOSED and not policy.shadow for policy, _ in asked):
                raise
            local = [(policy, key) for policy, key in asked if policy.fail is Fail.STRICTER and not policy.shadow]
            return self._told(local, await self._local.hit_many([self._stricter(*one) for one in local]))
        return self._told(asked, verdicts)

    async def forget(self, key: str, limit: Limit) -> None:
        """Forget what was counted against ``key``, here and, unless it is away, in the shared count."""
        await self._local.reset(key, limit)
        with suppress(LimiterUnavailable):
            await self._shared.reset(key, limit)

    def _told(self, asked: Sequence[tuple[Policy, str]], verdicts: Sequence[Verdict]) -> Decision:
        pairs = [(policy, verdict) for (policy, _), verdict in zip(asked, verdicts, strict=True)]
        for policy, verdict in pairs:
            refused = "shadow-refused" if policy.shadow else "refused"
            self._count(LIMITER_DECISIONS, policy.limit.name, "allowed" if verdict.allowed else refused)
        return Decision(verdicts=tuple(pair for pair in pairs if not pair[0].shadow))

    def _stricter(self, policy: Policy, key: str) -> Attempt:
        limit = policy.limit
        strict = msgspec.structs.replace(
            limit,
            count=max(1, limit.count // self._strictness),
            free=limit.free and max(1, limit.free // self._strictness),
        )
        return Attempt(key=key, limit=strict, cost=min(policy.cost, strict.count))

    def _count(self, instrument: Instrument, *labels: str) -> None:
        record = self._records.get((instrument.name, labels))
        if record is None:
            record = self._records[instrument.name, labels] = self._telemetry.bind(instrument, labels)
        record(1)


def _attempt(policy: Policy, key: str) -> Attempt:
    return Attempt(key=key, limit=policy.limit, cost=policy.cost, shadow=policy.shadow)
