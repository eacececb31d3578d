"""Limits hold on, more strictly, while the shared counter is away."""

from __future__ import annotations

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryLimiter
from tradesense.adapters.memory.telemetry import MemoryTelemetry
from tradesense.core.cache.limits import Throttle
from tradesense.core.cache.models import Limit
from tradesense.core.errors import LimiterUnavailable, LimitExceeded
from tradesense.core.telemetry.instruments import LIMITER_FALLBACKS
from tradesense.core.testing import ManualClock

LOGINS = Limit(name="logins", count=8, period=60)


class Fragile(MemoryLimiter):
    """A limiter whose server can be away."""

    away = False

    async def hit(self, key, limit, *, cost=1):
        if self.away:
            raise LimiterUnavailable
        return await super().hit(key, limit, cost=cost)


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
