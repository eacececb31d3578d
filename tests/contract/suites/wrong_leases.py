"""Leases and limits that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from manualtime import Timed
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryLimiter, MemoryLocks
from tradesense.adapters.system.ambient import SystemRandom
from tradesense.core.cache import Verdict
from tradesense.core.cache.models import check_attempts
from tradesense.core.capabilities import Capability
from tradesense.core.testing import (
    Contract,
    LockProviderContract,
    RateLimiterContract,
)

# --- leases ----------------------------------------------------------------------------------------------------------


class Locks(Timed, LockProviderContract):
    Provider = MemoryLocks

    @pytest.fixture
    def adapter(self, state, clock):
        return lambda: self.Provider(state, clock=clock, random=SystemRandom())


class TestRightLocks(Locks):
    patience = Contract.patience


class TestLooksAndThenTakes(Locks):
    caught_by = ("test_of_many_at_once_one_gets_the_lease",)

    class Provider(MemoryLocks):
        async def acquire(self, name, ttl, *, wait=0):
            held = self._leases.held.get(name)
            await asyncio.sleep(0)
            if held is None:
                self._leases.held.pop(name, None)
            return await super().acquire(name, ttl, wait=wait)


class TestLetsAnyoneRelease(Locks):
    caught_by = ("test_only_the_owner_releases_and_renews", "test_a_lost_lease_is_neither_renewed_nor_released")

    class Provider(MemoryLocks):
        async def release(self, lease):
            self.check_open()
            line = self._leases.lines.get(lease.name)
            found = self._leases.held.pop(lease.name, None)
            if line:
                line.wake()
            return found is not None


class TestRenewsWhatIsLost(Locks):
    caught_by = ("test_a_lost_lease_is_neither_renewed_nor_released", "test_a_released_lease_is_no_longer_ours")

    class Provider(MemoryLocks):
        async def renew(self, lease):
            await super().renew(lease)
            return True


class TestStartsItsTokensAgain(Locks):
    caught_by = ("test_fencing_tokens_grow_with_every_acquisition", "test_one_who_waits_gets_it_when_it_is_released")

    class Provider(MemoryLocks):
        def _take(self, name, ttl):
            lease = super()._take(name, ttl)
            return lease and replace(lease, token=1)


class TestCountsItsTokensFromOne(Locks):
    """So that a fence takes its leases for old ones, where another provider's came before."""

    caught_by = ("test_tokens_go_on_from_those_of_any_provider_before",)

    class Provider(MemoryLocks):
        counted = 0

        def _take(self, name, ttl):
            lease = super()._take(name, ttl)
            self.counted += 1
            return lease and replace(lease, token=self.counted)


class TestMakesALeaseOfAnything(Locks):
    caught_by = ("test_what_cannot_be_held_is_refused_and_nobody_else_is",)

    class Provider(MemoryLocks):
        async def acquire(self, name, ttl, *, wait=0):
            name = name.encode("utf-8", "replace").decode()[:512] or "?"
            return await super().acquire(name, ttl if 0 < ttl < 1e6 else 0.001, wait=wait)


class TestNamesItsOwnersByNumber(Locks):
    caught_by = ("test_owners_cannot_be_guessed",)

    class Provider(MemoryLocks):
        def _take(self, name, ttl):
            lease = super()._take(name, ttl)
            if lease:
                self._leases.held[name].owner = owner = f"{lease.token}"
                lease = replace(lease, owner=owner)
            return lease


class TestNeverExpires(Locks):
    caught_by = ("test_a_lease_expires",)

    class Provider(MemoryLocks):
        async def acquire(self, name, ttl, *, wait=0):
            lease = await super().acquire(name, ttl * 1_000_000, wait=wait)
            return lease and replace(lease, ttl=ttl)


class TestRenewsWithoutTime(Locks):
    caught_by = ("test_a_renewed_lease_lasts_on",)

    class Provider(MemoryLocks):
        async def renew(self, lease):
            self.check_open()
            return self._ours(lease) is not None


class TestDoesNotWait(Locks):
    caught_by = ("test_one_who_waits_gets_it_when_it_is_released", "test_a_wait_ends_with_nothing")

    class Provider(MemoryLocks):
        async def acquire(self, name, ttl, *, wait=0):  # noqa: ARG002  # that is its fault
            return await super().acquire(name, ttl)


class TestWaitsOnWhenItWasCancelled(Locks):
    """The wait goes on in the background, and takes the lease for nobody."""

    caught_by = ("test_a_cancelled_wait_leaves_nothing",)

    class Provider(MemoryLocks):
        async def acquire(self, name, ttl, *, wait=0):
            waiting = asyncio.ensure_future(super().acquire(name, ttl, wait=wait))
            waiting.add_done_callback(lambda task: task.cancelled() or task.exception())
            return await asyncio.shield(waiting)


class TestLosesTheLeaseAtTheHandOver(Locks):
    caught_by = ("test_a_wait_cancelled_at_the_hand_over_leaves_nothing",)

    class Provider(MemoryLocks):
        async def acquire(self, name, ttl, *, wait=0):
            lease = await super().acquire(name, ttl, wait=wait)
            if wait:
                await asyncio.sleep(0)  # a cancellation here leaves the lease to nobody
            return lease


class TestForgetsItsTokensAtTheEnd(Locks):
    capabilities = frozenset({Capability.PERSISTENT})
    caught_by = ("test_fencing_tokens_go_on_growing_in_the_next_adapter",)

    @pytest.fixture
    def adapter(self, clock):
        return lambda: self.Provider(MemoryState(), clock=clock, random=SystemRandom())


class TestLocksAreNeverClosed(Locks):
    caught_by = ("test_a_closed_provider_says_so",)

    class Provider(MemoryLocks):
        def check_open(self):
            pass


class TestGivesLeasesDuringAnOutage(Locks):
    caught_by = ("test_an_unreachable_provider_is_unavailable_and_gives_no_lease",)

    @pytest.fixture
    def unreachable(self, clock):
        return lambda: self.Provider(MemoryState(), clock=clock, random=SystemRandom())


# --- limits ----------------------------------------------------------------------------------------------------------


class Limiters(Timed, RateLimiterContract):
    Limiter = MemoryLimiter

    @pytest.fixture
    def adapter(self, state, clock):
        return lambda: self.Limiter(state, clock=clock)


class TestRightLimiter(Limiters):
    patience = Contract.patience


class TestReadsAndThenCounts(Limiters):
    caught_by = ("test_of_many_at_once_exactly_the_count_is_allowed",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            log = self._logs.of.get((limit.name, key))
            used = log.used if log else 0
            await asyncio.sleep(0)
            if used + cost <= limit.count:
                await super().hit(key, replace(limit, count=1_000_000), cost=cost)
                return Verdict(allowed=True, remaining=limit.count - used - cost, retry_after=0)
            return await super().hit(key, limit, cost=cost)


class TestChargesForRefusals(Limiters):
    caught_by = ("test_a_refused_attempt_costs_nothing", "test_an_attempt_may_cost_more_than_one")

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            verdict = await super().hit(key, limit, cost=cost)
            if not verdict.allowed:
                log = self._logs.of[(limit.name, key)]
                log.attempts.append((self._clock.monotonic(), cost))
                log.used += cost
            return verdict


class TestCountsInFixedWindows(Limiters):
    caught_by = ("test_no_period_holds_more_than_the_count",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            window = int(self._clock.monotonic() / limit.period)
            return await super().hit(f"{key}:{window}", limit, cost=cost)


class TestKeysAloneCount(Limiters):
    caught_by = ("test_keys_and_limits_do_not_share_a_count",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            return await super().hit(key, replace(limit, name="all"), cost=cost)

        async def reset(self, key, limit):
            await super().reset(key, replace(limit, name="all"))


class TestJoinsNameAndKeyWithAColon(Limiters):
    caught_by = ("test_keys_and_limits_do_not_share_a_count",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            return await super().hit(f"{limit.name}:{key}", replace(limit, name=""), cost=cost)

        async def reset(self, key, limit):
            await super().reset(f"{limit.name}:{key}", replace(limit, name=""))


class TestCostsAlwaysOne(Limiters):
    caught_by = ("test_an_attempt_may_cost_more_than_one",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):  # noqa: ARG002  # that is its fault
            return await super().hit(key, limit)


class TestKeepsNoDistance(Limiters):
    caught_by = (
        "test_attempts_beyond_the_free_ones_are_further_and_further_apart",
        "test_after_the_gap_the_next_attempt_is_allowed",
        "test_of_many_at_once_the_free_ones_are_allowed_and_several_limits_agree",
    )

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            return await super().hit(key, replace(limit, delay=0.0), cost=cost)

        async def hit_many(self, attempts):
            return await super().hit_many([replace(one, limit=replace(one.limit, delay=0.0)) for one in attempts])


class TestWaitsTheSameEachTime(Limiters):
    caught_by = ("test_attempts_beyond_the_free_ones_are_further_and_further_apart",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            return await super().hit(key, replace(limit, longest=limit.delay), cost=cost)


class TestAsksItsLimitsOneAfterTheOther(Limiters):
    caught_by = (
        "test_what_one_limit_refuses_counts_under_none",
        "test_of_many_at_once_under_several_limits_the_least_count_is_allowed",
    )

    class Limiter(MemoryLimiter):
        async def hit_many(self, attempts):
            self.check_open()
            check_attempts(attempts)
            return tuple([await self.hit(one.key, one.limit, cost=one.cost) for one in attempts])


class TestCountsAnything(Limiters):
    caught_by = ("test_what_cannot_be_counted_is_refused_and_nothing_else_is",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            count = max(1, min(limit.count, 1000))
            period = limit.period if 0 < limit.period < 1e6 else 60
            return await super().hit(key, replace(limit, count=count, period=period), cost=min(cost, count))


class TestTakesOneHalfOfAPairForAnother(Limiters):
    caught_by = ("test_any_text_is_a_key",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            return await super().hit(key.encode("utf-8", "replace").decode(), limit, cost=cost)


class TestRefusesWhatCostsMuch(Limiters):
    caught_by = ("test_an_attempt_may_cost_as_much_as_is_allowed",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            return await super().hit(key, limit, cost=min(cost, 1000))


class TestEnforcesShadows(Limiters):
    caught_by = ("test_a_shadow_tells_and_refuses_nothing",)

    class Limiter(MemoryLimiter):
        async def hit_many(self, attempts):
            return await super().hit_many([replace(one, shadow=False) for one in attempts])


class TestTellsTheWholePeriod(Limiters):
    caught_by = ("test_it_says_when_the_oldest_attempt_is_given_back",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            verdict = await super().hit(key, limit, cost=cost)
            return replace(verdict, reset_after=limit.period * 2)


class TestCountsTwiceUnderOneKey(Limiters):
    caught_by = ("test_what_cannot_be_counted_together_is_refused",)

    class Limiter(MemoryLimiter):
        async def hit_many(self, attempts):
            self.check_open()
            own = {(one.limit.name, one.key): one for one in attempts}
            return await super().hit_many(list(own.values()))


class TestPromisesTooMuch(Limiters):
    caught_by = ("test_after_waiting_as_told_the_attempt_is_allowed",)

    class Limiter(MemoryLimiter):
        async def hit(self, key, limit, *, cost=1):
            verdict = await super().hit(key, limit, cost=cost)
            return replace(verdict, retry_after=verdict.retry_after / 2)


class TestResetsEverybody(Limiters):
    caught_by = ("test_a_reset_forgets_one_key",)

    class Limiter(MemoryLimiter):
        async def reset(self, key, limit):
            await super().reset(key, limit)
            self._logs.of.clear()


class TestCountsForItselfAlone(Limiters):
    caught_by = ("test_two_adapters_count_together",)

    @pytest.fixture
    def adapter(self, clock):
        return lambda: self.Limiter(MemoryState(), clock=clock)


class TestAllowsDuringAnOutage(Limiters):
    caught_by = ("test_an_unreachable_limiter_is_unavailable_and_allows_nothing",)

    @pytest.fixture
    def unreachable(self, clock):
        return lambda: self.Limiter(MemoryState(), clock=clock)


class TestLimiterIsNeverClosed(Limiters):
    caught_by = ("test_a_closed_limiter_says_so",)

    class Limiter(MemoryLimiter):
        def check_open(self):
            pass
