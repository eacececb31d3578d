"""Secret stores that are wrong in reading and listing, and the tests that must catch them."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from memorystores import Failing, Right, Stores
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.core.errors import InvalidInput, SecretDenied, SecretNotFound, SecretStoreUnavailable
from tradesense.core.paging import Page
from tradesense.core.secrets import StoredSecret
from tradesense.core.sensitive import Secret

THREE_FOR_EACH_RULE = True

AS_IT_IS, ABSENT = "test_a_secret_is_read_as_it_is", "test_an_absent_secret_is_not_found"
ORDER, PAGES = "test_a_list_is_in_code_point_order", "test_pages_hold_every_path_exactly_once"
ANYWHERE, UNKNOWN = "test_a_prefix_may_end_anywhere", "test_an_unknown_prefix_is_an_empty_page"
AT_ONCE, CANCELLED = "test_many_reads_at_once_are_each_answered", "test_a_cancelled_call_leaves_it_usable"
AWAY = "test_an_unreachable_store_is_unavailable_and_nothing_is_absent"
REFUSED = "test_refused_credentials_are_denied"
CURRENT = "test_what_is_written_is_current"


class TestRight(Right):
    pass


# --- one secret ------------------------------------------------------------------------------------------------------


class TestAnswersWithoutThePath(Stores):
    caught_by = (AS_IT_IS,)

    class Store(MemorySecretStore):
        async def get(self, path):
            return replace(await super().get(path), path="")


class TestCountsFromNought(Stores):
    caught_by = (AS_IT_IS, CURRENT)

    class Store(MemorySecretStore):
        async def get(self, path):
            found = await super().get(path)
            return replace(found, version=found.version - 1)


class TestTellsLocalTime(Stores):
    caught_by = (AS_IT_IS,)

    class Store(MemorySecretStore):
        async def get(self, path):
            found = await super().get(path)
            return replace(found, created_at=found.created_at.replace(tzinfo=None))


class TestAnswersWithTheFolder(Stores):
    """What is asked for below a secret is the secret."""

    caught_by = (ABSENT,)

    class Store(MemorySecretStore):
        async def get(self, path):
            try:
                return await super().get(path)
            except SecretNotFound:
                return await super().get(path.rpartition("/")[0])


class TestAnswersWithTheFirst(Stores):
    caught_by = (CURRENT,)

    class Store(MemorySecretStore):
        async def get(self, path):
            await super().get(path)
            return await self.get_version(path, 1)


# --- listing ---------------------------------------------------------------------------------------------------------


class TestListsTheNewestFirst(Stores):
    caught_by = (ORDER,)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            page = await super().list(prefix, cursor=cursor, limit=limit)
            return Page(items=tuple(reversed(page.items)), cursor=page.cursor)


class TestListsFoldersBehindFiles(Stores):
    caught_by = (ORDER,)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            page = await super().list(prefix, cursor=cursor, limit=limit)
            return Page(items=tuple(sorted(page.items, key=lambda path: (path.count("/"), path))), cursor=page.cursor)


class TestNeverTurnsThePage(Stores):
    caught_by = (PAGES,)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            return Page(items=(await super().list(prefix, cursor=cursor, limit=limit)).items)


class TestGivesMoreThanIsAskedFor(Stores):
    caught_by = (PAGES,)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            return await super().list(prefix, cursor=cursor, limit=max(limit, 3))


class TestTakesAPrefixForAPath(Stores):
    caught_by = (ANYWHERE,)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            page = await super().list(prefix, cursor=cursor, limit=limit)
            whole = tuple(
                path for path in page.items if path == prefix or path.startswith((f"{prefix}/", f"{prefix}-"))
            )
            return page if prefix.endswith("/") else Page(items=whole, cursor=page.cursor)


class TestCutsThePrefix(Stores):
    caught_by = (ANYWHERE,)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            return await super().list(prefix[:10], cursor=cursor, limit=limit)


class TestListsEverythingForAnUnknownPrefix(Stores):
    caught_by = (UNKNOWN,)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            page = await super().list(prefix, cursor=cursor, limit=limit)
            return page if page.items else Page(items=(prefix.rstrip("/"),))


class TestGoesOnBehindAnEmptyPage(Stores):
    caught_by = (UNKNOWN,)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            page = await super().list(prefix, cursor=cursor, limit=limit)
            return page if page.items else Page(items=(), cursor=f"{prefix}a".replace("//", "/"))


class TestRefusesFoldersThatAreNotThere(Stores):
    caught_by = (UNKNOWN,)

    class Store(MemorySecretStore):
        async def list(self, prefix="", *, cursor=None, limit=100):
            page = await super().list(prefix, cursor=cursor, limit=limit)
            if prefix.endswith("/") and not page.items:
                raise InvalidInput("there is no such folder")
            return page


# --- many at once, and those that are cancelled ----------------------------------------------------------------------


class TestAnswersAllWithOneAnswer(Stores):
    """Whoever asks while another asks is given the other's answer, for whatever path."""

    caught_by = (AT_ONCE,)

    class Store(MemorySecretStore):
        asked = None

        async def get(self, path):
            self.check_open()
            if self.asked is None:
                self.asked = asyncio.ensure_future(self._later(path))
            return await asyncio.shield(self.asked)

        async def _later(self, path):
            await asyncio.sleep(0)
            self.asked = None
            return await MemorySecretStore.get(self, path)


class TestIsCrowded(Stores):
    caught_by = (AT_ONCE,)

    class Store(MemorySecretStore):
        inside = 0

        async def get(self, path):
            if self.inside >= 10:
                raise SecretStoreUnavailable("every connection is in use")
            self.inside += 1
            await asyncio.sleep(0)
            self.inside -= 1
            return await super().get(path)


class TestMixesAnswersUp(Stores):
    caught_by = (AT_ONCE,)

    class Store(MemorySecretStore):
        wanted = ""

        async def get(self, path):
            self.wanted = path
            await asyncio.sleep(0)
            return await super().get(self.wanted)


class TestLosesAConnectionWithEachCancelledList(Stores):
    caught_by = (CANCELLED,)

    class Store(MemorySecretStore):
        free = 1

        async def list(self, prefix="", *, cursor=None, limit=100):
            self.free -= 1
            await asyncio.sleep(0)
            self.free += 1
            return await super().list(prefix, cursor=cursor, limit=limit)

        async def get(self, path):
            if self.free < 1:
                raise SecretStoreUnavailable("every connection is in use")
            return await super().get(path)


class TestClosesWhenItIsCancelled(Stores):
    caught_by = (CANCELLED,)

    class Store(MemorySecretStore):
        async def get(self, path):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                await self.__aexit__(None, None, None)
                raise
            return await super().get(path)


# --- the other end ---------------------------------------------------------------------------------------------------


class TestCallsAnOutageAnAbsence(Stores):
    caught_by = (AWAY,)

    @pytest.fixture
    def unreachable(self, state):
        return lambda: Failing(state, SecretNotFound)


class TestCallsAnOutageARefusal(Stores):
    caught_by = (AWAY,)

    @pytest.fixture
    def unreachable(self, state):
        return lambda: Failing(state, SecretDenied)


class TestServesWhatItRemembersOfAnOutage(Stores):
    caught_by = (AWAY,)

    class Store(Failing):
        async def get(self, path):
            return StoredSecret(path=path, value=Secret("old"), version=1)

    @pytest.fixture
    def adapter(self, state):
        return lambda: self.Store(state, SecretStoreUnavailable)

    @pytest.fixture
    def unreachable(self, adapter):
        return adapter


class TestCallsARefusalAnOutage(Stores):
    caught_by = (REFUSED,)

    @pytest.fixture
    def denied(self, state):
        return lambda: Failing(state, SecretStoreUnavailable)


class TestListsNothingToWhomItRefuses(Stores):
    caught_by = (REFUSED,)

    @pytest.fixture
    def denied(self, state):
        class Silent(Failing):
            async def list(self, prefix="", *, cursor=None, limit=100):  # noqa: ARG002  # as the port says
                return Page(items=())

        return lambda: Silent(state, SecretDenied)


class TestRefusesWhatIsThereAlone(Stores):
    """Who may do nothing learns what there is."""

    caught_by = (REFUSED,)

    @pytest.fixture
    def denied(self, state):
        class Telling(Failing):
            async def get(self, path):
                raise SecretNotFound(path)

        return lambda: Telling(state, SecretDenied)
