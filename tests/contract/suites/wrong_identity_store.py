"""Identity stores that are wrong on purpose."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from tradesense.adapters.memory._accounts import MemoryRefreshTokens, MemorySessions, MemoryUsers
from tradesense.adapters.memory._actions import MemoryActionTokens
from tradesense.adapters.memory._people import MemoryIdentityStore
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.core.capabilities import Capability
from tradesense.core.errors import EmailTaken
from tradesense.core.paging import Page
from tradesense.core.testing import IdentityStoreContract


def store_of(
    users=MemoryUsers, sessions=MemorySessions, refresh_tokens=MemoryRefreshTokens, actions=MemoryActionTokens
):
    """The memory store with some parts replaced."""

    class Store(MemoryIdentityStore):
        def __init__(self, state):
            super().__init__(state)
            self._users = users(state, self.check_open)
            self._sessions = sessions(state, self.check_open)
            self._refresh_tokens = refresh_tokens(state, self.check_open)
            self._actions = actions(state, self.check_open)

    return Store


class OverMemory(IdentityStoreContract):
    capabilities = frozenset({Capability.TRANSACTIONAL, Capability.SHARED, Capability.PERSISTENT})
    store = store_of()

    @pytest.fixture
    def state(self):
        return MemoryState()

    @pytest.fixture
    def adapter(self, state):
        return lambda: self.store(state)

    @pytest.fixture
    def transactions(self, state):
        return lambda _: MemoryTransactions(state)


class TestRight(OverMemory):
    pass


class SpendsInTwoSteps(MemoryRefreshTokens):
    async def spend(self, token_hash, at, seed):
        token = self._rows.tokens.get(token_hash)
        await asyncio.sleep(0)
        if token is not None and token.spent_at is None:
            await super().spend(token_hash, at, seed)
        return token


class TestSpendsInTwoSteps(OverMemory):
    store = store_of(refresh_tokens=SpendsInTwoSteps)
    caught_by = (
        "test_of_32_concurrent_spendings_one_wins",
        "test_of_32_concurrent_spendings_in_two_stores_one_wins",
        "test_a_closed_store_refuses",
    )


class ForgetsWhenItWasSpent(MemoryRefreshTokens):
    async def spend(self, token_hash, at, seed):
        token = await super().spend(token_hash, at, seed)
        return token if token is None or token.spent_at is None else replace(token, spent_at=at)


class TestForgetsWhenItWasSpent(OverMemory):
    store = store_of(refresh_tokens=ForgetsWhenItWasSpent)
    caught_by = ("test_a_token_is_spent_once_and_says_since_when",)


class TakesInTwoSteps(MemoryActionTokens):
    async def take(self, purpose, token_hash):
        token = await self.find(purpose, token_hash)
        await asyncio.sleep(0)
        if token is not None:
            await super().take(purpose, token_hash)
        return token


class TestTakesInTwoSteps(OverMemory):
    store = store_of(actions=TakesInTwoSteps)
    caught_by = (
        "test_of_32_concurrent_takings_one_wins",
        "test_of_32_concurrent_takings_in_two_stores_one_wins",
    )


class TakesForAnyPurpose(MemoryActionTokens):
    async def take(self, purpose, token_hash):
        token = self._rows.actions.get(token_hash)
        return await super().take(token.purpose if token else purpose, token_hash)


class TestTakesForAnyPurpose(OverMemory):
    store = store_of(actions=TakesForAnyPurpose)
    caught_by = ("test_a_one_time_token_is_good_for_its_own_purpose_alone",)


class KeepsOneActionAtATime(MemoryActionTokens):
    async def add(self, token):
        async with self._state.begin():
            await self.drop(token.user_id)
            await super().add(token)


class TestKeepsOneActionAtATime(OverMemory):
    store = store_of(actions=KeepsOneActionAtATime)
    caught_by = (
        "test_several_one_time_tokens_of_one_account_stand_side_by_side",
        "test_the_one_time_tokens_of_an_account_are_dropped_together",
        "test_expired_one_time_tokens_are_swept_up_to_a_limit",
    )


class LeavesTokensBehind(MemoryUsers):
    async def remove(self, user_id):
        async with self._state.begin():
            user = self._rows.users.get(user_id)
            if user is not None:
                self._rows.users.remove(user_id)
                self._rows.emails.remove(user.email_key)
        return user is not None


class TestLeavesTokensBehind(OverMemory):
    store = store_of(users=LeavesTokensBehind)
    caught_by = (
        "test_a_removed_account_takes_everything_of_its_own_along",
        "test_a_closed_store_refuses",
    )


class LastWriterWins(MemoryUsers):
    async def update(self, user):
        known = await self.get(user.id)
        return await super().update(replace(user, version=known.version))


class TestLastWriterWins(OverMemory):
    store = store_of(users=LastWriterWins)
    caught_by = (
        "test_an_update_from_another_version_writes_nothing",
        "test_of_concurrent_updates_from_one_version_one_wins",
        "test_two_stores_see_the_same_accounts",
    )


class LooksBeforeItAdds(MemoryUsers):
    async def add(self, user):
        if await self.by_email(user.email_key) is not None:
            raise EmailTaken
        await asyncio.sleep(0)
        async with self._state.begin():
            self._rows.users.put(user.id, user)
            self._rows.emails.put(user.email_key, user.id)


class TestLooksBeforeItAdds(OverMemory):
    store = store_of(users=LooksBeforeItAdds)
    caught_by = (
        "test_of_concurrent_accounts_with_one_email_key_one_is_kept",
        "test_of_concurrent_accounts_in_two_stores_one_is_kept",
    )


class FoldsCase(MemoryUsers):
    async def add(self, user):
        if self._rows.emails.get(user.email_key.casefold()) is not None:
            raise EmailTaken
        await super().add(user)


class TestFoldsCase(OverMemory):
    store = store_of(users=FoldsCase)
    caught_by = ("test_two_email_keys_that_differ_in_anything_are_two_accounts",)


class SkipsOneBetweenPages(MemoryUsers):
    async def list(self, *, role="", cursor=None, limit=100):
        page = await super().list(role=role, cursor=cursor, limit=limit + 1)
        return Page(items=page.items[:limit], cursor=page.items[-1].id if len(page.items) > limit else None)


class TestSkipsOneBetweenPages(OverMemory):
    store = store_of(users=SkipsOneBetweenPages)
    caught_by = ("test_accounts_are_listed_by_id_and_role_page_by_page",)


class HidesTheExpired(MemorySessions):
    async def find(self, token_hash):
        found = await super().find(token_hash)
        return found if found and found[0].expires_at > found[0].created_at else None


class TestHidesTheExpired(OverMemory):
    store = store_of(sessions=HidesTheExpired)
    caught_by = ("test_an_expired_session_is_found_still",)


class TouchesBackwards(MemorySessions):
    async def touch(self, session_id, at):
        async with self._state.begin():
            session = self._rows.sessions.get(session_id)
            if session is not None:
                self._rows.sessions.put(session_id, replace(session, last_seen_at=at))


class TestTouchesBackwards(OverMemory):
    store = store_of(sessions=TouchesBackwards)
    caught_by = (
        "test_a_touch_moves_last_seen_forward_only",
        "test_of_concurrent_touches_the_latest_is_kept",
        "test_a_closed_store_refuses",
    )


class LeavesTheTokens(MemorySessions):
    def _remove(self, session_id):
        tokens = self._rows.tokens_of.get(session_id) or ()
        self._rows.tokens_of.remove(session_id)
        removed = super()._remove(session_id)
        self._rows.tokens_of.put(session_id, tokens)
        return removed


class TestLeavesTheTokens(OverMemory):
    store = store_of(sessions=LeavesTheTokens)
    caught_by = (
        "test_an_ended_session_is_gone_with_its_refresh_tokens",
        "test_a_sweep_removes_what_has_ended_or_is_idle",
    )


class SweepsWithoutLimit(MemorySessions):
    async def sweep(self, expired_before, idle_since, *, limit=1000):
        return await super().sweep(expired_before, idle_since, limit=limit + 1000)


class TestSweepsWithoutLimit(OverMemory):
    store = store_of(sessions=SweepsWithoutLimit)
    caught_by = ("test_a_sweep_stops_at_its_limit",)


class TestJoinsNoTransaction(OverMemory):
    caught_by = ("test_a_rolled_back_transaction_changes_nothing",)

    @pytest.fixture
    def transactions(self):
        return lambda _: MemoryTransactions(MemoryState())


class TestKeepsForItself(OverMemory):
    caught_by = ("test_an_account_outlives_the_store_that_wrote_it", "test_two_stores_see_the_same_accounts")

    @pytest.fixture
    def adapter(self):
        return lambda: self.store(MemoryState())


class NeverGivesATurnBack(MemorySessions):
    """As a pool does that loses the connection of a caller who is cancelled."""

    async def find(self, token_hash):
        async with self._place():
            await asyncio.sleep(0)
            return await super().find(token_hash)

    @asynccontextmanager
    async def _place(self):
        places = self.__dict__.setdefault("places", asyncio.Semaphore(1))
        await places.acquire()
        try:
            yield
        except asyncio.CancelledError:
            raise
        except BaseException:
            places.release()
            raise
        places.release()


class TestNeverGivesATurnBack(OverMemory):
    store = store_of(sessions=NeverGivesATurnBack)
    patience = 0.5
    caught_by = ("test_cancelled_calls_leave_the_store_usable",)
