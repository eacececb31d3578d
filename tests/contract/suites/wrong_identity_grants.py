"""Identity stores that are wrong on purpose, about sessions of one user, API keys and roles."""

import asyncio

import pytest
from msgspec.structs import replace

from tradesense.adapters.memory._accounts import MemoryRefreshTokens
from tradesense.adapters.memory._grants import MemoryApiKeys, MemoryRoles, MemoryUserSessions
from tradesense.adapters.memory._people import MemoryIdentityStore
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.core.capabilities import Capability
from tradesense.core.errors import Conflict
from tradesense.core.testing import IdentityStoreContract


def store_of(**parts):
    """The memory store with some parts replaced."""

    class Store(MemoryIdentityStore):
        def __init__(self, state):
            super().__init__(state)
            for name, part in parts.items():
                setattr(self, f"_{name}", part(state, self.check_open))

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


class KeepsTheLastSeed(MemoryRefreshTokens):
    async def spend(self, token_hash, at, seed):
        token = await super().spend(token_hash, at, seed)
        if token is not None and token.spent_at is not None:
            async with self._state.begin():
                self._rows.tokens.put(token_hash, replace(token, seed=seed))
            return replace(token, seed=seed)
        return token


class TestKeepsTheLastSeed(OverMemory):
    store = store_of(refresh_tokens=KeepsTheLastSeed)
    caught_by = ("test_a_token_is_spent_once_and_says_since_when", "test_of_32_concurrent_spendings_one_wins")


class EndsTheKeptToo(MemoryUserSessions):
    async def end(self, user_id, *, keep=""):
        del keep
        return await super().end(user_id)


class TestEndsTheKeptToo(OverMemory):
    store = store_of(user_sessions=EndsTheKeptToo)
    caught_by = ("test_all_sessions_of_a_user_but_one_end_with_their_tokens",)


class ListsEveryonesSessions(MemoryUserSessions):
    def _of(self, _user_id, after):
        known = self._rows.sessions.keys()
        sessions = sorted(session for session in known if session > after)
        return ((session, self._rows.sessions.get(session)) for session in sessions)


class TestListsEveryonesSessions(OverMemory):
    store = store_of(user_sessions=ListsEveryonesSessions)
    caught_by = ("test_the_sessions_of_a_user_are_listed_by_id_page_by_page",)


class RemovesAnyonesKey(MemoryApiKeys):
    async def remove(self, user_id, key_id):
        key = self._rows.keys.get(key_id)
        return await super().remove(key.user_id if key else user_id, key_id)


class TestRemovesAnyonesKey(OverMemory):
    store = store_of(api_keys=RemovesAnyonesKey)
    caught_by = ("test_the_keys_of_a_user_are_listed_and_removed_by_the_user_alone",)


class HidesKeysOfTheDisabled(MemoryApiKeys):
    async def find(self, key_hash):
        found = await super().find(key_hash)
        return found if found and not found[1].disabled else None


class TestHidesKeysOfTheDisabled(OverMemory):
    store = store_of(api_keys=HidesKeysOfTheDisabled)
    caught_by = ("test_a_key_is_found_with_its_user_of_today",)


class ReadsBeforeItWrites(MemoryRoles):
    async def put(self, role, at, *, expected=None):
        known = {one.role.name: one.revision for one in await self.all()}
        if expected is not None and expected != known.get(role.name, 0):
            raise Conflict
        await asyncio.sleep(0)
        return await super().put(role, at)


class TestReadsBeforeItWrites(OverMemory):
    store = store_of(roles=ReadsBeforeItWrites)
    caught_by = ("test_of_concurrent_writers_of_one_revision_one_wins",)
