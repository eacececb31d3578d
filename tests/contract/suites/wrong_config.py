"""Settings stores that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.config import MemorySettingsStore
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.config import SettingsStore
from tradesense.core.errors import SettingConflict, SettingNotFound
from tradesense.core.paging import Page
from tradesense.core.testing import Contract, SettingsStoreContract


class Stores(SettingsStoreContract):
    """The memory adapter, which is right; what is wrong is a subclass of it."""

    capabilities = contracted.manifest("memory", SettingsStore).capabilities | {Capability.SHARED}
    patience = 0.1
    Store = MemorySettingsStore

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Store(state, clock=SystemClock())

    @pytest.fixture
    def transactions(self):
        return lambda store: MemoryTransactions(store.state)


class TestRight(Stores):
    patience = Contract.patience


class TestKeepsEverythingAsText(Stores):
    caught_by = ("test_any_json_value_comes_back_as_it_was",)

    class Store(MemorySettingsStore):
        async def put(self, key, value, **options):
            return await super().put(key, value if isinstance(value, dict | list) else str(value), **options)


class TestTakesWholeFloatsForIntegers(Stores):
    caught_by = ("test_any_json_value_comes_back_as_it_was",)

    class Store(MemorySettingsStore):
        async def put(self, key, value, **options):
            whole = isinstance(value, float) and value.is_integer()
            return await super().put(key, int(value) if whole else value, **options)


class TestTakesNullForAbsent(Stores):
    caught_by = ("test_any_json_value_comes_back_as_it_was",)

    class Store(MemorySettingsStore):
        async def get(self, key):
            setting = await super().get(key)
            if setting.value is None:
                raise SettingNotFound(key)
            return setting


class TestGivesOutItsOwnObjects(Stores):
    caught_by = ("test_what_was_given_out_cannot_change_the_setting",)

    class Store(MemorySettingsStore):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.values = {}

        async def put(self, key, value, **options):
            written = replace(await super().put(key, value, **options), value=value)
            self.values[key] = written
            return written

        async def get(self, key):
            found = await super().get(key)
            held = self.values.get(key)
            return held if held and held.revision == found.revision else found


class TestStartsAgainAfterADeletion(Stores):
    caught_by = ("test_a_deleted_setting_that_comes_back_goes_on_counting",)

    class Store(MemorySettingsStore):
        async def delete(self, key, *, expected=None, by=""):
            async with self.state.begin():
                await super().delete(key, expected=expected, by=by)
                self._rows.histories.remove(key)


class TestLooksAndThenWrites(Stores):
    caught_by = ("test_of_many_writes_that_expect_one_revision_one_wins",)

    class Store(MemorySettingsStore):
        async def put(self, key, value, *, expected=None, **options):
            if expected is not None:
                try:
                    current = (await self.get(key)).revision
                except SettingNotFound:
                    current = 0
                await asyncio.sleep(0)
                if current != expected:
                    raise SettingConflict(key)
            return await super().put(key, value, **options)


class TestDeletesWhateverIsExpected(Stores):
    caught_by = ("test_a_write_that_expects_another_revision_is_a_conflict",)

    class Store(MemorySettingsStore):
        async def delete(self, key, *, expected=None, by=""):  # noqa: ARG002  # that is its fault
            await super().delete(key, by=by)


class TestKeepsTheLastRevisionOnly(Stores):
    caught_by = ("test_the_history_holds_every_revision",)

    class Store(MemorySettingsStore):
        async def history(self, key):
            return (await super().history(key))[-1:]


class TestTellsTheNewestFirst(Stores):
    caught_by = ("test_the_history_holds_every_revision",)

    class Store(MemorySettingsStore):
        async def history(self, key):
            return tuple(reversed(await super().history(key)))


class TestTakesUnderscoresForAnything(Stores):
    """As ``LIKE`` does when nobody escapes the prefix."""

    caught_by = ("test_pages_hold_every_setting_under_the_prefix_once_by_key",)

    class Store(MemorySettingsStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            rows = (await super().list(limit=1000)).items
            found = [one for one in rows if one.key.replace("-", "_").startswith(prefix.replace("-", "_"))]
            start = int(cursor or 0)
            following = str(start + limit) if start + limit < len(found) else None
            return Page(items=tuple(found[start : start + limit]), cursor=following)


class TestForgetsWhoAndWhetherPublic(Stores):
    caught_by = ("test_a_setting_is_kept_with_what_is_known_of_it",)

    class Store(MemorySettingsStore):
        async def put(self, key, value, *, expected=None, **options):  # noqa: ARG002  # that is its fault
            return await super().put(key, value, expected=expected)


class TestCommitsByItself(Stores):
    caught_by = ("test_a_rolled_back_transaction_leaves_nothing",)

    @pytest.fixture
    def transactions(self):
        return lambda _: MemoryTransactions(MemoryState())


class TestLosesATransactionsWrites(Stores):
    caught_by = ("test_a_committed_transaction_leaves_everything",)

    class Store(MemorySettingsStore):
        async def put(self, key, value, **options):
            inside = self.state.inside()
            written = await super().put(key, value, **options)
            if inside:
                self._rows.settings.forget()
            return written


class TestSharesNothing(Stores):
    caught_by = ("test_two_adapters_see_each_others_changes",)

    @pytest.fixture
    def adapter(self):
        return lambda: self.Store(MemoryState(), clock=SystemClock())


class TestIsNeverClosed(Stores):
    caught_by = ("test_a_closed_store_says_so",)

    class Store(MemorySettingsStore):
        def check_open(self):
            pass


class TestCallsAnOutageAnAbsence(Stores):
    caught_by = ("test_an_unreachable_store_is_unavailable_and_nothing_is_absent",)

    @pytest.fixture
    def unreachable(self):
        return lambda: self.Store(MemoryState(), clock=SystemClock())


class TestIsStuckOnceItWasCancelled(Stores):
    caught_by = ("test_a_cancelled_call_leaves_it_usable",)

    class Store(MemorySettingsStore):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.connections = asyncio.Semaphore(1)

        async def get(self, key):
            self.check_open()
            await self.connections.acquire()
            await asyncio.sleep(0)  # a cancellation here keeps the connection for ever
            try:
                return await super().get(key)
            finally:
                self.connections.release()
