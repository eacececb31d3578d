"""Limits hold on, more strictly, while the shared counter is away."""

from __future__ import annotations

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryLimiter
from tradesense.adapters.memory.telemetry import MemoryTelemetry
from tradesense.core.cache.limits import Fail, Policy, Throttle
from tradesense.core.cache.models import Limit
from tradesense.core.errors import LimiterUnavailable, LimitExceeded
from tradesense.core.telemetry.instruments import LIMITER_DECISIONS, LIMITER_FALLBACKS
from tradesense.core.testing import ManualClock

LOGINS = Limit(name="logins", count=8, period=60)


class Fragile(MemoryLimiter):
    """A limiter whose server can be away."""

    away = False

    async def hit_many(self, attempts):
        if self.away:
            raise LimiterUnavailable
        return await super().hit_many(attempts)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def telemetry(clock):
    return MemoryTelemetry(clock=clock)


@pytest.fixture
async def shared(clock):
    async with Fragile(MemoryState(), clock=clock) as limiter:
        yield limiter


@pytest.fixture
async def throttle(clock, shared, telemetry):
    async with MemoryLimiter(MemoryState(), clock=clock) as local:
        yield Throttle(shared=shared, local=local, telemetry=telemetry)


async def attempts(throttle, count, key="me", limit=LOGINS):
    """How many of ``count`` attempts were allowed."""
    allowed = 0
    for _ in range(count):
        try:
            await throttle.attempt(key, limit)
        except LimitExceeded:
            continue
        allowed += 1
    return allowed


async def test_the_shared_count_decides(throttle, telemetry):
    assert await attempts(throttle, 20) == 8
    assert await attempts(throttle, 20, key="you") == 8
    assert telemetry.series(LIMITER_FALLBACKS, ("logins",)).value == 0


async def test_a_refusal_says_how_long_to_wait(throttle, clock):
    await attempts(throttle, 8)
    clock.advance(15)
    with pytest.raises(LimitExceeded) as caught:
        await throttle.attempt("me", LOGINS)
    assert caught.value.retry_after == pytest.approx(45)
    clock.advance(45)
    assert await attempts(throttle, 20) == 8


async def test_without_the_shared_count_a_quarter_is_allowed_and_it_is_metered(throttle, shared, telemetry):
    shared.away = True
    assert await attempts(throttle, 20) == 2
    assert telemetry.series(LIMITER_FALLBACKS, ("logins",)).value == 20


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
async def test_without_the_shared_count_one_attempt_is_always_allowed(throttle, shared, count):
    shared.away = True
    assert await attempts(throttle, 20, limit=Limit(name="few", count=count, period=60)) == 1


async def test_when_it_is_back_the_shared_count_goes_on(throttle, shared):
    assert await attempts(throttle, 5) == 5
    shared.away = True
    await attempts(throttle, 5)
    shared.away = False
    assert await attempts(throttle, 20) == 3


def policy(name, count, **more):
    return Policy(limit=Limit(name=name, count=count, period=60), **more)


async def test_several_policies_decide_together(throttle, telemetry):
    wide, narrow = policy("wide", 10), policy("narrow", 2)
    decisions = [await throttle.decide([(wide, "all"), (narrow, "me")]) for _ in range(4)]
    assert [decision.refused for decision in decisions] == [None, None, narrow, narrow]
    assert [decision.retry_after for decision in decisions] == [0, 0, pytest.approx(60), pytest.approx(60)]
    assert [verdict.remaining for _, verdict in decisions[-1].verdicts] == [8, 0]
    assert telemetry.series(LIMITER_DECISIONS, ("narrow", "refused")).value == 2
    assert telemetry.series(LIMITER_DECISIONS, ("wide", "allowed")).value == 4


async def test_a_shadow_is_measured_and_refuses_nobody(throttle, telemetry):
    shadow = policy("shadow", 1, shadow=True)
    decisions = [await throttle.decide([(shadow, "me")]) for _ in range(3)]
    assert all(decision.refused is None and decision.verdicts == () for decision in decisions)
    assert telemetry.series(LIMITER_DECISIONS, ("shadow", "allowed")).value == 1
    assert telemetry.series(LIMITER_DECISIONS, ("shadow", "shadow-refused")).value == 2


async def test_the_longest_wait_is_told(throttle, clock):
    first, second = policy("first", 1), policy("second", 1)
    await throttle.decide([(first, "me")])
    clock.advance(20)
    await throttle.decide([(second, "me")])
    refused = await throttle.decide([(first, "me"), (second, "me")])
    assert refused.refused == second
    assert refused.retry_after == pytest.approx(60)


async def test_each_policy_fails_in_its_own_way(throttle, shared, telemetry):
    shared.away = True
    with pytest.raises(LimiterUnavailable):
        await throttle.decide([(policy("a", 8, fail=Fail.CLOSED), "me"), (policy("b", 8, fail=Fail.OPEN), "me")])
    for _ in range(20):
        decision = await throttle.decide([(policy("b", 1, fail=Fail.OPEN), "me")])
        assert decision.refused is None
    stricter = [await throttle.decide([(policy("c", 8, cost=3), "me")]) for _ in range(3)]
    assert [decision.refused is None for decision in stricter] == [True, False, False]
    assert telemetry.series(LIMITER_FALLBACKS, ("b",)).value == 21
    shadow = await throttle.decide([(policy("d", 1, fail=Fail.CLOSED, shadow=True), "me")])
    assert shadow.refused is None, "a shadow closed the door"


async def test_a_closed_policy_keeps_the_others_from_counting(throttle, shared):
    both = [(policy("a", 8, fail=Fail.CLOSED), "me"), (policy("c", 8), "me")]
    shared.away = True
    for _ in range(5):
        with pytest.raises(LimiterUnavailable):
            await throttle.decide(both)
    assert (await throttle.decide(both[1:])).refused is None
