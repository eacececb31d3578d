"""Secret stores that are wrong in versions and staging, and the tests that must catch them."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from msgspec.structs import replace

from memorystores import Stores
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.core.errors import SecretConflict, SecretNotFound
from tradesense.core.secrets import VersionState
from tradesense.core.sensitive import Secret

THREE_FOR_EACH_RULE = True

EARLIER = "test_earlier_versions_can_be_read"
OLDEST = "test_versions_are_listed_oldest_first"
NO_SUCH = "test_absent_versions_are_not_found"
STAGED = "test_a_staged_version_is_not_visible_until_it_is_promoted"
SECOND = "test_a_second_staging_takes_the_place_of_the_first"
AGAIN = "test_promoting_again_changes_nothing"
ONLY = "test_only_what_is_pending_or_current_can_be_promoted"
READERS = "test_readers_see_the_old_value_or_the_new_one_while_it_is_promoted"


# --- versions --------------------------------------------------------------------------------------------------------


class TestKeepsTheLastVersionAlone(Stores):
    caught_by = (EARLIER, OLDEST)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            version = await super().put(path, value, cas=cas, by=by)
            row = self._rows.secrets.get(path)
            async with self.state.begin():
                self._rows.secrets.put(path, replace(row, held=row.held[-1:]))
            return version


class TestReadsTheVersionBefore(Stores):
    caught_by = (EARLIER,)

    class Store(MemorySecretStore):
        async def get_version(self, path, version):
            found = await super().get_version(path, max(version - 1, 1))
            return replace(found, version=version)


class TestCallsEveryVersionCurrent(Stores):
    caught_by = (OLDEST,)

    class Store(MemorySecretStore):
        async def versions(self, path):
            return tuple(replace(one, current=True) for one in await super().versions(path))


class TestTakesNoughtForTheLastVersion(Stores):
    caught_by = (NO_SUCH,)

    class Store(MemorySecretStore):
        async def get_version(self, path, version):
            return await (super().get_version(path, version) if version else self.get(path))


class TestHasNoVersionsOfWhatIsAbsent(Stores):
    caught_by = (NO_SUCH,)

    class Store(MemorySecretStore):
        async def versions(self, path):
            try:
                return await super().versions(path)
            except SecretNotFound:
                return ()


# --- staging ---------------------------------------------------------------------------------------------------------


class TestHidesTheSecretWhileOneIsStaged(Stores):
    caught_by = (STAGED,)

    class Store(MemorySecretStore):
        async def get(self, path):
            if await self.pending(path) is not None:
                raise SecretNotFound(path)
            return await super().get(path)


class TestKeepsTheFirstThatWasStaged(Stores):
    caught_by = (SECOND,)

    class Store(MemorySecretStore):
        async def stage(self, path, value, *, by=""):
            found = await self.pending(path)
            return found.version if found else await super().stage(path, value, by=by)


class TestRefusesToPromoteAgain(Stores):
    caught_by = (AGAIN,)

    class Store(MemorySecretStore):
        async def promote(self, path, version):
            if await self.pending(path) is None:
                raise SecretConflict(path)
            await super().promote(path, version)


class TestPromotesAgainAsANewVersion(Stores):
    caught_by = (AGAIN,)

    class Store(MemorySecretStore):
        async def promote(self, path, version):
            await super().promote(path, version)
            await self.put(path, (await self.get(path)).value)


class TestGoesBackWhenItPromotesAgain(Stores):
    caught_by = (AGAIN,)

    class Store(MemorySecretStore):
        async def promote(self, path, version):
            again = version == self._known(path).current
            await super().promote(path, version)
            if again:
                await self.put(path, (await self.get_version(path, 1)).value)


class TestPromotesWhateverIsPending(Stores):
    caught_by = (SECOND,)

    class Store(MemorySecretStore):
        async def promote(self, path, version):
            found = await self.pending(path)
            await super().promote(path, found.version if found else version)


class TestSaysNothingOfWhatItCannotPromote(Stores):
    caught_by = (ONLY,)

    class Store(MemorySecretStore):
        async def promote(self, path, version):
            try:
                await super().promote(path, version)
            except SecretConflict:
                return


class TestStagesWhereThereIsNothing(Stores):
    caught_by = (ONLY,)

    class Store(MemorySecretStore):
        async def stage(self, path, value, *, by=""):
            if self._rows.secrets.get(path) is None:
                return await self.put(path, value, by=by)
            return await super().stage(path, value, by=by)


class TestDeletesTheOldBeforeItPromotes(Stores):
    caught_by = (READERS,)

    class Store(MemorySecretStore):
        async def promote(self, path, version):
            row = self._known(path)
            gone = tuple(
                one if one.state is VersionState.PENDING else replace(one, state=VersionState.DELETED)
                for one in row.held
            )
            async with self.state.begin():
                self._rows.secrets.put(path, replace(row, held=gone))
            await asyncio.sleep(0)
            await super().promote(path, version)


class TestEmptiesTheValueBeforeItPromotes(Stores):
    caught_by = (READERS,)

    class Store(MemorySecretStore):
        async def promote(self, path, version):
            row = self._known(path)
            empty = tuple(replace(one, value=Secret("")) if one.version == row.current else one for one in row.held)
            async with self.state.begin():
                self._rows.secrets.put(path, replace(row, held=empty))
            await asyncio.sleep(0)
            await super().promote(path, version)


class TestForgetsWhoWrote(Stores):
    caught_by = ("test_each_version_says_who_wrote_it",)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):  # noqa: ARG002  # that is its fault
            return await super().put(path, value, cas=cas)


class TestKeepsTheFirstAuthor(Stores):
    caught_by = ("test_each_version_says_who_wrote_it",)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            with suppress(SecretNotFound):
                by = (await self.get(path)).created_by
            return await super().put(path, value, cas=cas, by=by)


class TestMakesAuthorsAscii(Stores):
    caught_by = ("test_each_version_says_who_wrote_it",)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            return await super().put(path, value, cas=cas, by=by.encode("ascii", "replace").decode())
