"""Caches and backplanes that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from manualtime import Timed
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryBackplane, MemoryCache
from tradesense.core.testing import (
    BackplaneContract,
    CacheStoreContract,
    Contract,
)

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


class TestTellsTheTimeThatWasGiven(Caches):
    """And not what is left of it."""

    caught_by = ("test_it_says_how_long_a_value_lasts",)

    class Store(MemoryCache):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.given = {}

        async def set(self, key, value, ttl):
            self.given[key] = ttl
            await super().set(key, value, ttl)

        async def remaining(self, keys):
            return {key: self.given.get(key, left) for key, left in (await super().remaining(keys)).items()}


class TestTellsTheTimeOfWhatIsAbsent(Caches):
    caught_by = ("test_it_says_how_long_a_value_lasts",)

    class Store(MemoryCache):
        async def remaining(self, keys):
            return dict.fromkeys(keys, 0.0) | await super().remaining(keys)


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
