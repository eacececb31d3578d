"""Stores of experiments, patterns and hashes that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

import mmh3
import pytest
import re2
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._experiments import MemoryExperiments
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.re2.flags import Re2Patterns
from tradesense.core.capabilities import Capability
from tradesense.core.flags import ExperimentStore
from tradesense.core.testing import (
    BucketHashContract,
    Contract,
    ExperimentStoreContract,
    PatternsContract,
)


class Experiments(ExperimentStoreContract):
    """The memory adapter, which is right; what is wrong is a subclass of it."""

    capabilities = contracted.manifest("memory", ExperimentStore).capabilities | {Capability.SHARED}
    patience = 0.1
    Store = MemoryExperiments

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Store(state)

    @pytest.fixture
    def transactions(self):
        return lambda store: MemoryTransactions(store.state)


class TestRightExperiments(Experiments):
    patience = Contract.patience


class TestTakesTheFirstOnly(Experiments):
    caught_by = ("test_people_are_counted_by_variant", "test_many_at_once_are_all_taken")

    class Store(MemoryExperiments):
        async def expose(self, exposures):
            await super().expose(exposures[:1])


class TestCountsExposuresInsteadOfPeople(Experiments):
    caught_by = ("test_who_comes_again_counts_once",)

    class Store(MemoryExperiments):
        def __init__(self, state):
            super().__init__(state)
            self.seen = Counter()

        async def expose(self, exposures):
            self.seen.update((one.flag, one.variant) for one in exposures)
            await super().expose(exposures)

        async def tally(self, flag, metric):
            found = await super().tally(flag, metric)
            counted = [replace(one, exposed=self.seen[flag, one.variant]) for one in found.variants]
            return replace(found, variants=tuple(counted))


class TestCountsWhatWasDoneBefore(Experiments):
    caught_by = ("test_what_was_done_before_the_first_exposure_does_not_count",)

    class Store(MemoryExperiments):
        async def convert(self, conversions):
            await super().convert([replace(one, at=one.at.replace(year=2999)) for one in conversions])


class TestKeepsTheLastExposure(Experiments):
    caught_by = ("test_the_order_of_arrival_does_not_matter",)

    class Store(MemoryExperiments):
        async def expose(self, exposures):
            async with self.state.begin():
                for one in exposures:
                    self._rows.exposures.remove((one.flag, one.targeting_key, one.variant))
                await super().expose(exposures)


class TestCountsWhoSawBoth(Experiments):
    caught_by = ("test_who_was_shown_two_variants_is_left_out",)

    class Store(MemoryExperiments):
        async def expose(self, exposures):
            first = {key[:2]: key[2] for key in self._rows.exposures.visible(lambda _: True)}
            for one in exposures:
                first.setdefault((one.flag, one.targeting_key), one.variant)
            await super().expose([one for one in exposures if first[one.flag, one.targeting_key] == one.variant])


class TestHasOneMetric(Experiments):
    caught_by = ("test_metrics_are_counted_apart",)

    class Store(MemoryExperiments):
        async def tally(self, flag, metric):
            return await super().tally(flag, (await self.metrics(flag) or [metric])[0])


class TestTakesOneAfterTheOther(Experiments):
    caught_by = ("test_a_cancelled_call_takes_all_or_nothing",)

    class Store(MemoryExperiments):
        async def expose(self, exposures):
            self.check_open()
            for one in exposures:
                await super().expose([one])
                await asyncio.sleep(0)


class TestWantsSomethingToTake(Experiments):
    caught_by = ("test_nothing_to_take_is_no_error",)

    class Store(MemoryExperiments):
        async def expose(self, exposures):
            exposures[0]
            await super().expose(exposures)


class TestExperimentsShareNothing(Experiments):
    caught_by = ("test_two_stores_fill_one_record",)

    @pytest.fixture
    def adapter(self):
        return lambda: self.Store(MemoryState())


class TestRollsNothingBack(Experiments):
    caught_by = ("test_a_rolled_back_transaction_leaves_nothing",)

    @pytest.fixture
    def transactions(self):
        return lambda _: MemoryTransactions(MemoryState())


class TestIsNeverClosed(Experiments):
    caught_by = ("test_a_closed_store_says_so",)

    class Store(MemoryExperiments):
        def check_open(self):
            pass


class TestDropsThemDuringAnOutage(Experiments):
    caught_by = ("test_an_unreachable_store_is_unavailable",)

    @pytest.fixture
    def unreachable(self):
        return lambda: self.Store(MemoryState())


class PatternsRight(PatternsContract):
    Patterns = Re2Patterns

    @pytest.fixture
    def adapter(self):
        return self.Patterns


class TestRightPatterns(PatternsRight):
    pass


class TestWantsTheWholeText(PatternsRight):
    caught_by = ("test_a_pattern_is_found_anywhere",)

    class Patterns(Re2Patterns):
        def compile(self, pattern):
            super().compile(pattern)
            return lambda text: re2.fullmatch(pattern, text) is not None


class TestRaisesForALoneSurrogate(PatternsRight):
    caught_by = ("test_a_pattern_is_found_anywhere",)

    class Patterns(Re2Patterns):
        def compile(self, pattern):
            search = super().compile(pattern)

            def strict(text):
                text.encode()
                return search(text)

            return strict


class TestFindsFaultsWhenItSearches(PatternsRight):
    caught_by = ("test_what_is_no_pattern_is_refused", "test_a_pattern_that_takes_much_memory_is_refused")

    class Patterns(Re2Patterns):
        def compile(self, pattern):
            def late(text):
                return Re2Patterns.compile(self, pattern)(text)

            return late


class Hashes(BucketHashContract):
    hash32 = staticmethod(lambda data: mmh3.hash(data, 0, signed=False))

    @pytest.fixture
    def adapter(self):
        return lambda: partial(self.hash32)


class TestRightHash(Hashes):
    pass


class TestHashIsSigned(Hashes):
    caught_by = ("test_the_numbers_are_the_published_ones", "test_it_takes_up_the_whole_range")
    hash32 = staticmethod(mmh3.hash)


class TestHashHasASeed(Hashes):
    caught_by = ("test_the_numbers_are_the_published_ones", "test_it_is_the_same_for_any_text")
    hash32 = staticmethod(lambda data: mmh3.hash(data, 1, signed=False))


class TestHashOfTheBeginning(Hashes):
    caught_by = ("test_it_is_the_same_for_any_text",)
    hash32 = staticmethod(lambda data: mmh3.hash(data[:16], 0, signed=False))
