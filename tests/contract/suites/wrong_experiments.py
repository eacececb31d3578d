"""Sinks of exposures, engines of patterns and hashes that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio
from functools import partial

import mmh3
import pytest
import re2
from msgspec.structs import replace

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.flags import MemoryExposures
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.re2.flags import Re2Patterns
from tradesense.core.capabilities import Capability
from tradesense.core.testing import (
    BucketHashContract,
    Contract,
    ExposureSinkContract,
    PatternsContract,
)


class Sinks(ExposureSinkContract):
    """The memory adapter, which is right; what is wrong is a subclass of it."""

    capabilities = frozenset({Capability.SHARED})
    patience = 0.1
    Sink = MemoryExposures

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Sink(state)

    @pytest.fixture
    def recorded(self):
        async def read(sink):
            return list(sink.recorded)

        return read


class TestRightSink(Sinks):
    patience = Contract.patience


class TestTakesTheFirstOnly(Sinks):
    caught_by = ("test_every_exposure_is_taken",)

    class Sink(MemoryExposures):
        async def record(self, exposures):
            await super().record(exposures[:1])


class TestCountsEachOnce(Sinks):
    caught_by = ("test_the_same_exposure_twice_is_two",)

    class Sink(MemoryExposures):
        async def record(self, exposures):
            self.check_open()
            self.recorded.extend(one for one in dict.fromkeys(exposures) if one not in self.recorded)


class TestRoundsTheTime(Sinks):
    caught_by = ("test_every_exposure_is_taken",)

    class Sink(MemoryExposures):
        async def record(self, exposures):
            await super().record([replace(one, at=one.at.replace(microsecond=0)) for one in exposures])


class TestTakesOneAfterTheOther(Sinks):
    caught_by = ("test_a_cancelled_record_takes_all_or_nothing",)

    class Sink(MemoryExposures):
        async def record(self, exposures):
            self.check_open()
            for one in exposures:
                await super().record([one])
                await asyncio.sleep(0)


class TestWantsSomethingToRecord(Sinks):
    caught_by = ("test_nothing_to_record_is_no_error",)

    class Sink(MemoryExposures):
        async def record(self, exposures):
            exposures[0]
            await super().record(exposures)


class TestSinksShareNothing(Sinks):
    caught_by = ("test_two_sinks_fill_one_record",)

    @pytest.fixture
    def adapter(self):
        return lambda: self.Sink(MemoryState())


class TestSinkRollsNothingBack(Sinks):
    capabilities = frozenset({Capability.TRANSACTIONAL})
    caught_by = ("test_a_rolled_back_transaction_leaves_nothing",)

    @pytest.fixture
    def transactions(self):
        return lambda _: MemoryTransactions(MemoryState())


class TestSinkIsNeverClosed(Sinks):
    caught_by = ("test_a_closed_sink_says_so",)

    class Sink(MemoryExposures):
        def check_open(self):
            pass


class TestDropsThemDuringAnOutage(Sinks):
    caught_by = ("test_an_unreachable_sink_is_unavailable",)

    @pytest.fixture
    def unreachable(self):
        return lambda: self.Sink(MemoryState())


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
