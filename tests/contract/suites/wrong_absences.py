"""Secret stores that are wrong about what is absent, deleted or there already, and the tests that must catch them."""

from __future__ import annotations

from memorystores import Stores
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.core.errors import InvalidInput, SecretNotFound
from tradesense.core.secrets import Retention, VersionState

THREE_FOR_EACH_RULE = True


class TestBringsBackOnce(Stores):
    caught_by = ("test_a_deleted_secret_comes_back",)

    class Store(MemorySecretStore):
        async def undelete(self, path):
            self.done = getattr(self, "done", set())
            if path in self.done:
                raise SecretNotFound(path)
            self.done.add(path)
            await super().undelete(path)


class TestWritesWhatItNeedNotBringBack(Stores):
    caught_by = ("test_undeleting_what_is_there_changes_nothing",)

    class Store(MemorySecretStore):
        async def undelete(self, path):
            if self._known(path).current_at(self._clock.now()):
                await self.put(path, (await self.get(path)).value)
            await super().undelete(path)


class TestCallsAbsenceMalformed(Stores):
    caught_by = (
        "test_of_several_versions_all_are_changed_or_none",
        "test_what_is_absent_has_no_metadata",
        "test_what_is_absent_has_no_retention",
        "test_what_never_was_can_be_neither_undeleted_nor_destroyed",
    )

    class Store(MemorySecretStore):
        async def _change(self, path, change):
            try:
                await super()._change(path, change)
            except SecretNotFound as error:
                raise InvalidInput("there is no such secret or version") from error


class TestTogglesVersions(Stores):
    caught_by = ("test_single_versions_are_deleted_and_brought_back",)

    class Store(MemorySecretStore):
        async def delete_versions(self, path, versions):
            states = {one.version: one.state for one in await self.versions(path)}
            deleted = [version for version in versions if states.get(version) is VersionState.DELETED]
            await super().delete_versions(path, versions)
            await super().undelete_versions(path, deleted)


class TestBringsEveryVersionBack(Stores):
    caught_by = ("test_single_versions_are_deleted_and_brought_back",)

    class Store(MemorySecretStore):
        async def undelete_versions(self, path, versions):
            listed = await self.versions(path)
            deleted = [one.version for one in listed if one.state is VersionState.DELETED]
            await super().undelete_versions(path, [*versions, *deleted])


class TestKnowsTheDefaultsOfWhatIsAbsent(Stores):
    caught_by = ("test_what_is_absent_has_no_metadata", "test_what_is_absent_has_no_retention")

    class Store(MemorySecretStore):
        async def metadata(self, path):
            return await super().metadata(path) if path in self._rows.secrets._rows else {}

        async def retention(self, path):
            return await super().retention(path) if path in self._rows.secrets._rows else Retention()


class TestDestroysWhatNeverWas(Stores):
    caught_by = ("test_what_never_was_can_be_neither_undeleted_nor_destroyed",)

    class Store(MemorySecretStore):
        async def destroy(self, path):
            if path in self._rows.secrets._rows:
                await super().destroy(path)
