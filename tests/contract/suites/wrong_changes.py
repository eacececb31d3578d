"""Stores of changes that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._changes import MemoryChanges
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.core.capabilities import Capability
from tradesense.core.errors import ChangeNotFound
from tradesense.core.flags import ChangeStore
from tradesense.core.flags.requests import State
from tradesense.core.paging import Page
from tradesense.core.testing import ChangeStoreContract, Contract


class Changes(ChangeStoreContract):
    """The memory adapter, which is right; what is wrong is a subclass of it."""

    capabilities = contracted.manifest("memory", ChangeStore).capabilities | {Capability.SHARED, Capability.PERSISTENT}
    patience = 0.1
    Store = MemoryChanges

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Store(state)

    @pytest.fixture
    def transactions(self):
        return lambda store: MemoryTransactions(store.state)


class TestRightChanges(Changes):
    patience = Contract.patience


class TestForgetsTheReason(Changes):
    caught_by = ("test_a_request_is_kept_as_it_is",)

    class Store(MemoryChanges):
        async def add(self, request):
            await super().add(replace(request, reason=""))


class TestKeepsNoSegments(Changes):
    caught_by = ("test_a_request_is_kept_as_it_is",)

    class Store(MemoryChanges):
        async def get(self, request_id):
            return replace(await super().get(request_id), segment=None)


class TestLosesTheTime(Changes):
    caught_by = ("test_a_request_is_kept_as_it_is", "test_what_is_scheduled_is_due_at_its_time")

    class Store(MemoryChanges):
        async def add(self, request):
            at = request.not_before
            await super().add(replace(request, not_before=at and at.replace(microsecond=0)))


class TestGivesOutWhatItHolds(Changes):
    caught_by = ("test_what_was_given_out_cannot_change_the_request",)

    class Store(MemoryChanges):
        def __init__(self, state):
            super().__init__(state)
            self.held = {}

        async def add(self, request):
            await super().add(request)
            self.held[request.id] = msgspec.json.decode(msgspec.json.encode(request), type=type(request))

        async def get(self, request_id):
            found = await super().get(request_id)
            held = self.held.get(request_id, found)
            return held if held.version == found.version else found


class TestGivesOutWhatItWasGiven(Changes):
    caught_by = ("test_what_was_given_out_cannot_change_the_request",)

    class Store(TestGivesOutWhatItHolds.Store):
        async def add(self, request):
            await super().add(request)
            self.held[request.id] = request


class TestFindsNothingForWhatIsAbsent(Changes):
    caught_by = ("test_an_absent_request_is_not_found",)

    class Store(MemoryChanges):
        async def get(self, request_id):
            try:
                return await super().get(request_id)
            except ChangeNotFound:
                return None


class TestListsAll(Changes):
    caught_by = ("test_requests_are_listed_oldest_first_and_by_state",)

    class Store(MemoryChanges):
        async def list(self, *, state=None, cursor=None, limit=100):
            del state
            return await super().list(cursor=cursor, limit=limit)


class TestFiltersAfterItCuts(Changes):
    caught_by = ("test_requests_are_listed_oldest_first_and_by_state",)

    class Store(MemoryChanges):
        async def list(self, *, state=None, cursor=None, limit=100):
            found = await super().list(cursor=cursor, limit=limit)
            items = tuple(one for one in found.items if state in {None, one.state})
            return Page(items=items, cursor=found.cursor if items else None)


class TestListsTheNewestFirst(Changes):
    caught_by = ("test_requests_are_listed_oldest_first_and_by_state",)

    class Store(MemoryChanges):
        async def list(self, *, state=None, cursor=None, limit=100):
            found = await super().list(state=state, cursor=cursor, limit=limit)
            return Page(items=found.items[::-1], cursor=found.cursor)


class TestTakesAnyCursor(Changes):
    caught_by = ("test_a_cursor_that_was_not_given_out_is_refused",)

    class Store(MemoryChanges):
        async def list(self, *, state=None, cursor=None, limit=100):
            return await super().list(state=state, cursor=cursor if cursor and "-" in cursor else None, limit=limit)


class Unguarded(MemoryChanges):
    """Writes a step whatever the version."""

    async def replace(self, request):
        self.check_open()
        async with self.state.begin():
            self._rows.requests.put(request.id, msgspec.json.encode(request))


class TestWritesAnyStep(Changes):
    caught_by = (
        "test_a_step_is_taken_from_the_one_before_alone",
        "test_of_many_steps_at_once_one_is_taken",
        "test_two_stores_hold_one_list",
    )
    Store = Unguarded


class TestLooksBeforeItsTurn(Changes):
    caught_by = ("test_of_many_steps_at_once_one_is_taken",)

    class Store(Unguarded):
        async def replace(self, request):
            if (await self.get(request.id)).version != request.version - 1:
                await MemoryChanges.replace(self, request)
            await asyncio.sleep(0)
            await super().replace(request)


class TestTakesStepsThatSkipSome(Changes):
    caught_by = ("test_a_step_is_taken_from_the_one_before_alone",)

    class Store(MemoryChanges):
        async def replace(self, request):
            before = (await self.get(request.id)).version
            await super().replace(replace(request, version=max(before + 1, request.version - 1)))


class Due(MemoryChanges):
    """Says what is due by a rule of its own."""

    async def all(self):
        return (await self.list(limit=1000)).items


class TestIsDueWithoutApproval(Changes):
    caught_by = ("test_what_is_scheduled_is_due_at_its_time",)

    class Store(Due):
        async def due(self, now, *, limit):
            found = [one for one in await self.all() if one.not_before and one.not_before <= now]
            return [one for one in found if one.state in {State.PENDING, State.SCHEDULED}][:limit]


class TestIsDueOnlyLater(Changes):
    caught_by = ("test_what_is_scheduled_is_due_at_its_time",)

    class Store(MemoryChanges):
        async def due(self, now, *, limit):
            return [one for one in await super().due(now, limit=limit) if one.not_before < now]


class TestIsDueByBirth(Changes):
    caught_by = ("test_what_is_scheduled_is_due_at_its_time",)

    class Store(MemoryChanges):
        async def due(self, now, *, limit):
            return sorted(await super().due(now, limit=1000), key=lambda one: one.id)[:limit]


class TestIsDueWithoutAnEnd(Changes):
    caught_by = ("test_what_is_scheduled_is_due_at_its_time",)

    class Store(MemoryChanges):
        async def due(self, now, *, limit):
            del limit
            return await super().due(now, limit=1000)


class TestStaysDue(Changes):
    caught_by = ("test_what_is_scheduled_is_due_at_its_time",)

    class Store(MemoryChanges):
        async def due(self, now, *, limit):
            self.once = getattr(self, "once", {})
            self.once |= {one.id: one for one in await super().due(now, limit=1000)}
            return sorted(self.once.values(), key=lambda one: (one.not_before, one.id))[:limit]


class TestSharesNothing(Changes):
    caught_by = ("test_two_stores_hold_one_list",)
    capabilities = Changes.capabilities - {Capability.PERSISTENT}

    @pytest.fixture
    def adapter(self):
        return lambda: self.Store(MemoryState())


class TestForgetsAll(Changes):
    caught_by = ("test_a_request_outlives_the_adapter",)
    capabilities = Changes.capabilities - {Capability.SHARED}

    @pytest.fixture
    def adapter(self):
        return lambda: self.Store(MemoryState())


class TestRollsNothingBack(Changes):
    caught_by = ("test_a_rolled_back_transaction_leaves_nothing",)

    @pytest.fixture
    def transactions(self):
        return lambda _: MemoryTransactions(MemoryState())


class TestIsNeverClosed(Changes):
    caught_by = ("test_a_closed_store_says_so",)

    class Store(MemoryChanges):
        def check_open(self):
            pass


class TestIsNeverAway(Changes):
    caught_by = ("test_an_unreachable_store_is_unavailable",)

    @pytest.fixture
    def unreachable(self):
        return lambda: self.Store(MemoryState())
