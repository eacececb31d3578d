"""Cache adapters that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryBackplane, MemoryCache, MemoryLimiter, MemoryLocks
from tradesense.adapters.system.ambient import SystemRandom
from tradesense.core.cache import Verdict
from tradesense.core.cache.models import check_attempts
from tradesense.core.capabilities import Capability
from tradesense.core.testing import (
    BackplaneContract,
    CacheStoreContract,
    Contract,
    LockProviderContract,
    ManualClock,
    RateLimiterContract,
)


class Timed:
    """Time passes when it is told to, and a wrong adapter is not waited for."""

    capabilities = frozenset({Capability.SHARED})
    patience = 0.1

    @pytest.fixture
    def state(self):
        return MemoryState()

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def advance(self, clock):
        return clock.advance


# --- values ----------------------------------------------------------------------------------------------------------


class Caches(Timed, CacheStoreContract):
    Store = MemoryCache

    @pytest.fixture
    def adapter(self, state, clock):
        return lambda: self.Store(state, clock=clock)


class TestRightCache(Caches):
    patience = Contract.patience


class TestServesWhatHasExpired(Caches):
    caught_by = ("test_an_expired_value_is_never_served", "test_expire_gives_a_new_time")

    class Store(MemoryCache):
        def _get(self, key):
            entry = self._entries.get(key)
            return entry[0] if entry else None


class TestServesWhatHasExpiredAmongMany(Caches):
    caught_by = ("test_an_expired_value_is_never_served",)

    class Store(MemoryCache):
        async def get_many(self, keys):
            self.check_open()
            return {key: self._entries[key][0] for key in keys if key in self._entries}


class TestTakesAnEmptyValueForNone(Caches):
    caught_by = ("test_any_bytes_come_back_unchanged",)

    class Store(MemoryCache):
        async def get(self, key):
            return await super().get(key) or None


class TestKeepsTheFirstTime(Caches):
    caught_by = ("test_setting_again_replaces_the_time",)

    class Store(MemoryCache):
        def _set(self, key, value, until):
            super()._set(key, value, self._entries[key][1] if key in self._entries else until)


class TestRoundsToSeconds(Caches):
    caught_by = ("test_a_value_lasts_to_the_millisecond",)

    class Store(MemoryCache):
        async def set(self, key, value, ttl):
            await super().set(key, value, max(1, round(ttl)))


class TestCountsWhatItWasGiven(Caches):
    caught_by = ("test_delete_counts_what_was_present",)

    class Store(MemoryCache):
        async def delete(self, *keys):
            await super().delete(*keys)
            return len(keys)


class TestDeletesByPattern(Caches):
    caught_by = ("test_any_key_is_a_key_of_its_own",)

    class Store(MemoryCache):
        async def delete(self, *keys):
            matching = {held for held in self._entries for key in keys if held.startswith(key.rstrip("*"))}
            return await super().delete(*matching)


class TestFoldsItsKeys(Caches):
    caught_by = ("test_any_key_is_a_key_of_its_own",)

    class Store(MemoryCache):
        async def get(self, key):
            return await super().get(key.lower())

        async def set(self, key, value, ttl):
            await super().set(key.lower(), value, ttl)

        async def get_many(self, keys):
            return {key: value for key in keys if (value := await self.get(key)) is not None}


class TestRevivesWithExpire(Caches):
    caught_by = ("test_expire_gives_a_new_time",)

    class Store(MemoryCache):
        async def expire(self, key, ttl):
            if await self.get(key) is None:
                await self.set(key, b"", ttl)
            return await super().expire(key, ttl)


class TestSpeaksToItsServerWithOneConnection(Caches):
    """A call that was cancelled leaves its answer behind, which the next call takes for its own."""

    caught_by = ("test_a_cancelled_call_leaves_it_usable",)

    class Store(MemoryCache):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.answers = asyncio.Queue()

        async def get(self, key):
            self.answers.put_nowait(await super().get(key))
            await asyncio.sleep(0)
            return self.answers.get_nowait()


class TestCacheIsNeverClosed(Caches):
    caught_by = ("test_a_closed_store_says_so",)

    class Store(MemoryCache):
        def check_open(self):
            pass


class TestCallsAnOutageAMiss(Caches):
    caught_by = ("test_an_unreachable_store_is_unavailable_and_nothing_is_absent",)

    @pytest.fixture
    def unreachable(self, clock):
        return lambda: self.Store(MemoryState(), clock=clock)


class TestSharesNoValues(Caches):
    caught_by = ("test_two_adapters_see_each_others_values",)

    @pytest.fixture
    def adapter(self, clock):
        return lambda: self.Store(MemoryState(), clock=clock)


# --- messages --------------------------------------------------------------------------------------------------------


class Backplanes(Timed, BackplaneContract):
    Plane = MemoryBackplane

    @pytest.fixture
    def adapter(self, state):
        return lambda: self.Plane(state)


class TestRightBackplane(Backplanes):
    patience = Contract.patience


class TestHandsEachMessageToOne(Backplanes):
    """It is a queue, not a backplane."""

    caught_by = ("test_every_subscriber_receives_every_message",)

    class Plane(MemoryBackplane):
        async def publish(self, topic, payload):
            self.check_open()
            for subscription in list(self._topics._topics.get(topic, ()))[:1]:
                subscription.hand(payload)


class TestMixesUpTheOrder(Backplanes):
    caught_by = ("test_messages_come_in_the_order_in_which_they_were_published",)

    class Plane(MemoryBackplane):
        async def publish(self, topic, payload):
            self.check_open()
            loop = asyncio.get_running_loop()
            loop.call_later(0.001 if payload.endswith(b"7") else 0, self._topics.publish, topic, payload)
            await asyncio.sleep(0)


class TestTellsWhatWasSaidBefore(Backplanes):
    caught_by = ("test_what_was_said_before_is_missed",)

    class Plane(MemoryBackplane):
        def __init__(self, state):
            super().__init__(state)
            self.said = []

        async def publish(self, topic, payload):
            self.said.append((topic, payload))
            await super().publish(topic, payload)

        @asynccontextmanager
        async def _subscribe(self, topic):
            async with super()._subscribe(topic) as messages:
                for said, payload in self.said:
                    if said == topic:
                        messages.hand(payload)
                yield messages


class TestMatchesTopicsByPattern(Backplanes):
    caught_by = ("test_other_topics_are_not_heard",)

    class Plane(MemoryBackplane):
        async def publish(self, topic, payload):
            self.check_open()
            for wanted in list(self._topics._topics):
                if topic == wanted or (wanted.endswith("*") and topic.startswith(wanted[:-1])):
                    self._topics.publish(wanted, payload)


class TestDoesNotHearItself(Backplanes):
    caught_by = ("test_every_subscriber_receives_every_message", "test_two_adapters_hear_each_other")

    class Plane(MemoryBackplane):
        async def publish(self, topic, payload):
            self.check_open()
            for subscription in self._topics._topics.get(topic, set()) - self._own:
                subscription.hand(payload)


class TestSubscribesWhenItIsRead(Backplanes):
    caught_by = ("test_every_subscriber_receives_every_message",)

    class Plane(MemoryBackplane):
        @asynccontextmanager
        async def _subscribe(self, topic):
            self.check_open()

            async def messages():
                async with MemoryBackplane._subscribe(self, topic) as real:
                    async for payload in real:
                        yield payload

            listening = messages()
            try:
                yield listening
            finally:
                await listening.aclose()


class TestDropsWhatIsNotReadAtOnce(Backplanes):
    caught_by = ("test_one_who_does_not_read_holds_up_nobody",)

    class Plane(MemoryBackplane):
        async def publish(self, topic, payload):
            self.check_open()
            for subscription in self._topics._topics.get(topic, ()):
                if subscription._queue.qsize() < 500:
                    subscription.hand(payload)


class TestBackplaneIsNeverClosed(Backplanes):
    caught_by = ("test_a_closed_backplane_says_so",)

    class Plane(MemoryBackplane):
        def check_open(self):
            pass


class TestSaysItOnlyInItsOwnProcess(Backplanes):
    caught_by = ("test_two_adapters_hear_each_other",)

    @pytest.fixture
    def adapter(self):
        return lambda: self.Plane(MemoryState())


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
