"""Flags adapters that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.flags import MemoryFlagStore
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.errors import FlagConflict, FlagNotFound
from tradesense.core.flags import FlagStore
from tradesense.core.paging import Page
from tradesense.core.testing import (
    Contract,
    FlagStoreContract,
)


class Stores(FlagStoreContract):
    """The memory adapter, which is right; what is wrong is a subclass of it."""

    capabilities = contracted.manifest("memory", FlagStore).capabilities | {Capability.SHARED}
    patience = 0.1
    Store = MemoryFlagStore

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Store(state, clock=SystemClock())

    @pytest.fixture
    def transactions(self):
        return lambda store: MemoryTransactions(store.state)


class TestRightStore(Stores):
    patience = Contract.patience


class TestForgetsTheRules(Stores):
    caught_by = ("test_a_definition_is_kept_as_it_is",)

    class Store(MemoryFlagStore):
        async def get(self, key):
            found = await super().get(key)
            return replace(found, flag=replace(found.flag, rules=()))


class TestTakesBooleansForNumbers(Stores):
    caught_by = ("test_values_keep_their_types",)

    class Store(MemoryFlagStore):
        async def put(self, flag, *, expected=None, by=""):
            variants = {name: int(value) if isinstance(value, bool) else value for name, value in flag.variants.items()}
            return await super().put(replace(flag, variants=variants), expected=expected, by=by)


class TestGivesOutItsOwnObjects(Stores):
    caught_by = ("test_what_was_given_out_cannot_change_the_flag",)

    class Store(MemoryFlagStore):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.flags = {}

        async def put(self, flag, *, expected=None, by=""):
            written = replace(await super().put(flag, expected=expected, by=by), flag=flag)
            self.flags[flag.key] = written
            return written

        async def get(self, key):
            found = await super().get(key)
            held = self.flags.get(key)
            return held if held and held.revision == found.revision else found


class TestStartsAgainAfterADeletion(Stores):
    caught_by = ("test_a_deleted_key_that_comes_back_goes_on_counting",)

    class Store(MemoryFlagStore):
        async def delete(self, key, *, expected=None, by=""):
            async with self.state.begin():
                await super().delete(key, expected=expected, by=by)
                self._rows.histories.remove(key)


class TestLooksAndThenWrites(Stores):
    caught_by = ("test_of_many_writes_that_expect_one_revision_one_wins",)

    class Store(MemoryFlagStore):
        async def put(self, flag, *, expected=None, by=""):
            if expected is not None:
                try:
                    current = (await self.get(flag.key)).revision
                except FlagNotFound:
                    current = 0
                await asyncio.sleep(0)
                if current != expected:
                    raise FlagConflict(flag.key)
            return await super().put(flag, by=by)


class TestCallsEveryRaceAConflict(Stores):
    """It compares with what it read, even where the caller expects nothing."""

    caught_by = ("test_many_writes_at_once_get_a_revision_each",)

    class Store(MemoryFlagStore):
        async def put(self, flag, *, expected=None, by=""):
            if expected is None:
                row = self._rows.current.get(flag.key)
                expected = msgspec.json.decode(row)["revision"] if row else 0
                await asyncio.sleep(0)
            return await super().put(flag, expected=expected, by=by)


class TestDeletesWhatIsAbsent(Stores):
    caught_by = ("test_an_absent_definition_is_not_deleted", "test_of_many_deletions_one_finds_it")

    class Store(MemoryFlagStore):
        async def delete(self, key, *, expected=None, by=""):
            try:
                await super().delete(key, expected=expected, by=by)
            except FlagNotFound:
                return


class TestSaysNothingOfItsDigest(Stores):
    caught_by = ("test_a_definition_is_kept_as_it_is", "test_a_history_holds_every_revision_and_who_made_it")

    class Store(MemoryFlagStore):
        def _decode(self, row):
            return replace(super()._decode(row), digest="")


class TestForgetsWhoWroteIt(Stores):
    caught_by = ("test_what_is_written_is_what_is_read", "test_a_history_holds_every_revision_and_who_made_it")

    class Store(MemoryFlagStore):
        async def put(self, flag, *, expected=None, by=""):
            del by
            return await super().put(flag, expected=expected)


class TestForgetsTheHistoryOfWhatIsRemoved(Stores):
    caught_by = ("test_a_history_holds_every_revision_and_who_made_it",)

    class Store(MemoryFlagStore):
        async def history(self, key):
            found = await super().history(key)
            return [one for one in found if not one.deleted]


class TestKeepsTheLastRevisionOnly(Stores):
    caught_by = ("test_many_writes_at_once_get_a_revision_each",)

    class Store(MemoryFlagStore):
        async def history(self, key):
            return (await super().history(key))[-1:]


class TestWritesDownWhatItRefuses(Stores):
    caught_by = ("test_a_refused_write_leaves_no_revision",)

    class Store(MemoryFlagStore):
        async def put(self, flag, *, expected=None, by=""):
            try:
                return await super().put(flag, expected=expected, by=by)
            except FlagConflict:
                async with self.state.begin():
                    self._add(flag.key, flag, by=by)
                raise


class TestCountsWhoAsks(Stores):
    """Another generation each time, though nothing has changed."""

    caught_by = ("test_another_generation_with_every_change",)

    class Store(MemoryFlagStore):
        async def generation(self):
            async with self.state.begin():
                self._numbers.put("generation", await super().generation() + 1)
            return await super().generation()


class TestListsInTheOrderOfWriting(Stores):
    caught_by = ("test_pages_hold_every_definition_once_by_key",)

    class Store(MemoryFlagStore):
        async def list(self, *, cursor=None, limit=100):
            rows = sorted((await super().list(limit=1000)).items, key=lambda one: one.updated_at)
            start = int(cursor or 0)
            following = str(start + limit) if start + limit < len(rows) else None
            return Page(items=tuple(rows[start : start + limit]), cursor=following)


class TestSkipsTheEdgeOfAPage(Stores):
    caught_by = ("test_pages_hold_every_definition_once_by_key",)

    class Store(MemoryFlagStore):
        async def list(self, *, cursor=None, limit=100):
            page = await super().list(cursor=cursor, limit=limit)
            return Page(items=page.items, cursor=page.cursor and f"{page.cursor}~")


class TestTakesTheNumberOfFlagsForTheGeneration(Stores):
    caught_by = ("test_the_generation_grows_with_every_change",)

    class Store(MemoryFlagStore):
        async def generation(self):
            self.check_open()
            return len(self._rows.current.keys())


class TestTakesTheHighestRevisionForTheGeneration(Stores):
    caught_by = ("test_the_generation_grows_with_every_change",)

    class Store(MemoryFlagStore):
        async def generation(self):
            return max((one.revision for one in (await self.list(limit=1000)).items), default=0)


class TestCommitsByItself(Stores):
    caught_by = ("test_a_rolled_back_transaction_leaves_nothing",)

    @pytest.fixture
    def transactions(self):
        return lambda _: MemoryTransactions(MemoryState())


class TestSharesNothing(Stores):
    caught_by = ("test_two_adapters_see_the_same", "test_two_adapters_see_each_others_changes")

    @pytest.fixture
    def adapter(self):
        return lambda: self.Store(MemoryState(), clock=SystemClock())


class TestStoreIsNeverClosed(Stores):
    caught_by = ("test_a_closed_store_says_so",)

    class Store(MemoryFlagStore):
        def check_open(self):
            pass


class TestCallsAnOutageAnAbsence(Stores):
    caught_by = ("test_an_unreachable_store_is_unavailable_and_nothing_is_absent",)

    @pytest.fixture
    def unreachable(self):
        return lambda: self.Store(MemoryState(), clock=SystemClock())
