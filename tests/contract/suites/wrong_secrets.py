"""Secret stores that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.errors import InvalidInput, SecretConflict, SecretNotFound, TradeSenseError
from tradesense.core.paging import Page
from tradesense.core.secrets import SecretStore, StoredSecret, VersionState
from tradesense.core.sensitive import Secret
from tradesense.core.testing import Contract, SecretStoreContract

THREE_FOR_EACH_RULE = True

KEEPING = {Capability.UNDELETE, Capability.ERASE, Capability.METADATA, Capability.RETENTION}
"""What `wrong_recovery.py` is about."""
EVERYTHING = (contracted.manifest("memory", SecretStore).capabilities | {Capability.SHARED}) - KEEPING


class Stores(SecretStoreContract):
    """The memory adapter, which is right; what is wrong is a subclass of it."""

    capabilities = EVERYTHING
    patience = 0.1
    Store = MemorySecretStore

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Store(state, clock=SystemClock())

    @pytest.fixture
    def transactions(self):
        return lambda store: MemoryTransactions(store.state)


class TestRight(Stores):
    patience = Contract.patience


class TestInventsWhatIsAbsent(Stores):
    caught_by = (
        "test_an_absent_secret_is_not_found",
        "test_a_deleted_secret_is_not_found",
        "test_a_path_and_a_path_below_it_are_two_secrets",
        "test_a_rolled_back_transaction_leaves_nothing",
        "test_a_write_that_expects_another_version_is_a_conflict",
        "test_two_adapters_see_each_others_writes",
    )

    class Store(MemorySecretStore):
        async def get(self, path):
            try:
                return await super().get(path)
            except SecretNotFound:
                return StoredSecret(path=path, value=Secret(""), version=1)


class TestSortsAsPeopleDo(Stores):
    caught_by = (
        "test_a_list_is_in_code_point_order",
        "test_paging_holds_while_another_writes",
    )

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            page = await super().list(prefix, limit=1000)
            paths = sorted(page.items, key=lambda path: (path.casefold(), path))
            start = int(cursor or 0)
            following = str(start + limit) if start + limit < len(paths) else None
            return Page(items=tuple(paths[start : start + limit]), cursor=following)


class TestRepeatsTheEdgeOfAPage(Stores):
    caught_by = (
        "test_pages_hold_every_path_exactly_once",
        "test_paging_holds_while_another_writes",
    )

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            rows = [path async for path in self._from(prefix, cursor or prefix)]
            edge = max(limit - 1, 1)
            following = rows[edge] if len(rows) > limit else None
            return Page(items=tuple(rows[:limit]), cursor=following)

        async def _from(self, prefix, start):
            page = await MemorySecretStore.list(self, prefix, limit=1000)
            for path in page.items:
                if path >= start:
                    yield path


class TestCountsWhereThePageBegins(Stores):
    """Its cursor is a number of rows, so that paths move over the edge while others write."""

    caught_by = ("test_paging_holds_while_another_writes",)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            paths = (await super().list(prefix, limit=1000)).items
            start = int(cursor or 0)
            following = str(start + limit) if start + limit < len(paths) else None
            return Page(items=paths[start : start + limit], cursor=following)


class TestListsFoldersOnly(Stores):
    caught_by = (
        "test_a_prefix_may_end_anywhere",
        "test_a_staged_version_is_not_visible_until_it_is_promoted",
    )

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
            return await super().list(folder, cursor=cursor, limit=limit)


class TestRaisesForAnUnknownPrefix(Stores):
    caught_by = (
        "test_an_unknown_prefix_is_an_empty_page",
        "test_a_deleted_secret_is_not_found",
    )

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            page = await super().list(prefix, cursor=cursor, limit=limit)
            if not page.items and cursor is None:
                raise SecretNotFound(prefix)
            return page


class TestTruncates(Stores):
    caught_by = (
        "test_a_value_comes_back_unchanged",
        "test_a_value_of_the_largest_size_is_held",
        "test_any_bytes_come_back_unchanged",
    )

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            return await super().put(path, Secret(value.reveal_bytes()[:32_768]), cas=cas, by=by)


class TestStripsSpace(Stores):
    caught_by = ("test_a_value_comes_back_unchanged",)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            return await super().put(path, Secret(value.reveal_bytes().strip()), cas=cas, by=by)


class TestKeepsTextOnly(Stores):
    caught_by = ("test_any_bytes_come_back_unchanged",)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            return await super().put(path, Secret(value.reveal_bytes().decode(errors="replace")), cas=cas, by=by)


class TestLooksAndThenWrites(Stores):
    caught_by = ("test_of_many_writes_that_expect_one_version_one_wins",)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            if cas is not None:
                try:
                    current = (await self.get(path)).version
                except SecretNotFound:
                    current = 0
                await asyncio.sleep(0)
                if cas != current:
                    raise SecretConflict(path)
            return await super().put(path, value, by=by)


class TestIgnoresWhatIsExpected(Stores):
    caught_by = (
        "test_a_write_that_expects_nothing_needs_an_absent_secret",
        "test_a_write_that_expects_another_version_is_a_conflict",
        "test_of_many_writes_that_expect_one_version_one_wins",
    )

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):  # noqa: ARG002  # that is its fault
            return await super().put(path, value, by=by)


class TestShowsWhatIsStaged(Stores):
    caught_by = ("test_a_staged_version_is_not_visible_until_it_is_promoted",)

    class Store(MemorySecretStore):
        async def stage(self, path, value, *, by=""):
            await self.get(path)
            return await self.put(path, value, by=by)


class TestForgetsWhatIsStaged(Stores):
    caught_by = ("test_what_is_staged_is_found_again",)

    class Store(MemorySecretStore):
        async def pending(self, path):  # noqa: ARG002  # that is its fault
            self.check_open()


class TestShowsTheCurrentVersionAsPending(Stores):
    caught_by = ("test_what_is_staged_is_found_again",)

    class Store(MemorySecretStore):
        async def pending(self, path):
            return await super().pending(path) or await self.get(path)


class TestShowsTheFirstThatWasStaged(Stores):
    caught_by = ("test_what_is_staged_is_found_again",)

    class Store(MemorySecretStore):
        async def stage(self, path, value, *, by=""):
            version = await super().stage(path, value, by=by)
            self.firsts = getattr(self, "firsts", {})
            self.firsts.setdefault(path, await super().pending(path))
            return version

        async def pending(self, path):
            found = await super().pending(path)
            return found and self.firsts.get(path, found)


class TestRefusesCursorsOfAbsentPaths(Stores):
    caught_by = ("test_a_list_goes_on_behind_any_path",)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            if cursor is not None and self._rows.secrets.get(cursor) is None:
                raise InvalidInput("the cursor is unknown")
            return await super().list(prefix, cursor=cursor, limit=limit)


class TestBeginsAgainWithoutItsCursor(Stores):
    caught_by = ("test_a_list_goes_on_behind_any_path",)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            known = cursor is not None and self._rows.secrets.get(cursor) is not None
            return await super().list(prefix, cursor=cursor if known else None, limit=limit)


class TestEndsBehindAnAbsentPath(Stores):
    caught_by = ("test_a_list_goes_on_behind_any_path",)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            if cursor is not None and self._rows.secrets.get(cursor) is None:
                return Page(items=())
            return await super().list(prefix, cursor=cursor, limit=limit)


class TestPromotesByTwoSteps(Stores):
    caught_by = ("test_readers_see_the_old_value_or_the_new_one_while_it_is_promoted",)

    class Store(MemorySecretStore):
        async def promote(self, path, version):
            row = self._rows.secrets.get(path)
            if row is not None and row.pending() is not None and version == row.pending().version:
                self._rows.secrets._rows.pop(path)
                await asyncio.sleep(0)
                self._rows.secrets._rows[path] = row
            await super().promote(path, version)


class TestPromotesAnything(Stores):
    caught_by = (
        "test_only_what_is_pending_or_current_can_be_promoted",
        "test_a_second_staging_takes_the_place_of_the_first",
    )

    class Store(MemorySecretStore):
        async def promote(self, path, version):
            async with self.state.begin():
                row = self._known(path)
                held = tuple(replace(one, state=VersionState.AVAILABLE) for one in row.held)
                self._rows.secrets.put(path, replace(row, held=held, current=min(version, held[-1].version)))


class TestListsVersionsNewestFirst(Stores):
    caught_by = ("test_versions_are_listed_oldest_first",)

    class Store(MemorySecretStore):
        async def versions(self, path):
            return tuple(reversed(await super().versions(path)))


class TestAnswersWithTheCurrentVersion(Stores):
    caught_by = ("test_absent_versions_are_not_found",)

    class Store(MemorySecretStore):
        async def get_version(self, path, version):
            try:
                return await super().get_version(path, version)
            except SecretNotFound:
                return await self.get(path)


class TestDoesNotJoinTransactions(Stores):
    caught_by = (
        "test_a_rolled_back_transaction_leaves_nothing",
        "test_two_adapters_see_each_others_writes",
    )

    @pytest.fixture
    def adapter(self):
        return lambda: self.Store(MemoryState(), clock=SystemClock())

    @pytest.fixture
    def transactions(self):
        return lambda _: MemoryTransactions(MemoryState())


class TestIsNeverClosed(Stores):
    caught_by = ("test_a_closed_store_says_so",)

    class Store(MemorySecretStore):
        def check_open(self):
            pass


class TestSharesNothing(Stores):
    caught_by = (
        "test_two_adapters_see_each_others_writes",
        "test_of_many_writes_that_expect_one_version_one_wins",
    )

    @pytest.fixture
    def adapter(self):
        return lambda: self.Store(MemoryState(), clock=SystemClock())


class TestIsStuckOnceItWasCancelled(Stores):
    caught_by = ("test_a_cancelled_call_leaves_it_usable",)

    class Store(MemorySecretStore):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.connections = asyncio.Semaphore(1)

        async def get(self, path):
            self.check_open()
            await self.connections.acquire()
            await asyncio.sleep(0)  # a cancellation here keeps the connection for ever
            try:
                return await super().get(path)
            finally:
                self.connections.release()


class TestMakesNothingOfAnOutage(Stores):
    caught_by = ("test_an_unreachable_store_is_unavailable_and_nothing_is_absent",)

    @pytest.fixture
    def unreachable(self):
        return lambda: self.Store(MemoryState(), clock=SystemClock())


class TestCallsARefusalAnAbsence(Stores):
    caught_by = ("test_refused_credentials_are_denied",)

    @pytest.fixture
    def denied(self):
        return lambda: self.Store(MemoryState(), clock=SystemClock())


class TestCallsAnotherFormAnAbsence(Stores):
    caught_by = ("test_an_absent_secret_is_not_found",)
    foreign = pytest.fixture(lambda _: ["others/entry"], name="foreign")  # the store says that there is none


class TestLeaksTheSdksError(Stores):
    caught_by = (
        "test_an_absent_secret_is_not_found",
        "test_a_closed_store_says_so",
        "test_a_deleted_secret_is_not_found",
        "test_a_rolled_back_transaction_leaves_nothing",
        "test_a_write_that_expects_another_version_is_a_conflict",
    )

    class Store(MemorySecretStore):
        async def get(self, path):
            try:
                return await super().get(path)
            except TradeSenseError as error:
                raise KeyError(path) from error
