"""Files of flags, and stores of segments, that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.local._definitions import DefinitionFile
from tradesense.adapters.local.flags import FileFlagStore, Watched
from tradesense.adapters.local.settings import FlagFileSettings
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.flags import MemorySegmentStore
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.errors import FlagNotFound, SegmentNotFound
from tradesense.core.flags import FlagStore, SegmentStore
from tradesense.core.testing import (
    FlagStoreContract,
    SegmentStoreContract,
)


class Files(FlagStoreContract):
    """The store over a file, which is right and cannot be written; what is wrong is a subclass of what it reads."""

    capabilities = contracted.manifest("local", FlagStore).capabilities
    Watched = Watched

    @pytest.fixture
    def adapter(self, tmp_path):
        (tmp_path / "flags.json").write_text("[]")
        settings = FlagFileSettings(path=str(tmp_path / "flags.json"))
        return lambda: FileFlagStore(self.Watched(DefinitionFile(settings)))

    @pytest.fixture
    def stock(self, tmp_path):
        async def write(definitions):
            (tmp_path / "next").write_bytes(msgspec.json.encode(definitions))
            (tmp_path / "next").replace(tmp_path / "flags.json")

        return write


class TestRightFile(Files):
    pass


class TestReadsItsFileOnce(Files):
    caught_by = ("test_another_generation_with_every_change", "test_two_adapters_see_the_same")

    class Watched(Watched):
        def _look(self):
            if self._content is None:
                super()._look()


class TestCountsItsReadings(Files):
    """Each process has numbers of its own."""

    caught_by = ("test_two_adapters_see_the_same",)

    class Watched(Watched):
        readings = 0

        def _look(self):
            before = self._content
            super()._look()
            if self._content is not before:
                self.readings += 1 + id(self)
                self._content = dataclasses.replace(self._content, generation=self.readings)


class TestLooksAtTheSizeOfItsFile(Files):
    caught_by = ("test_another_generation_with_every_change",)

    class Watched(Watched):
        def __init__(self, file):
            sign = file.sign
            file.sign = lambda: (0, 0, sign()[2], 0)
            super().__init__(file)


class SegmentStores(SegmentStoreContract):
    """The memory adapter, which is right."""

    capabilities = contracted.manifest("memory", SegmentStore).capabilities | {Capability.SHARED}
    Store = MemorySegmentStore

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Store(state, clock=SystemClock())

    @pytest.fixture
    def transactions(self):
        return lambda store: MemoryTransactions(store.state)


class TestRightSegments(SegmentStores):
    pass


class TestForgetsTheGroups(SegmentStores):
    caught_by = ("test_a_definition_is_kept_as_it_is",)

    class Store(MemorySegmentStore):
        async def get(self, key):
            found = await super().get(key)
            return replace(found, segment=replace(found.segment, groups=()))


class TestSegmentsShareNothing(SegmentStores):
    caught_by = ("test_two_adapters_see_the_same", "test_two_adapters_see_each_others_changes")

    @pytest.fixture
    def adapter(self):
        return lambda: self.Store(MemoryState(), clock=SystemClock())


class TestCallsASegmentAFlag(SegmentStores):
    caught_by = ("test_an_absent_definition_is_not_found",)

    class Store(MemorySegmentStore):
        async def get(self, key):
            try:
                return await super().get(key)
            except SegmentNotFound as error:
                raise FlagNotFound(key) from error
