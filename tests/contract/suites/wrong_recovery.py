"""Secret stores that are wrong about deletions, metadata and old versions, and the tests that must catch them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.errors import SecretNotFound
from tradesense.core.secrets import Retention, SecretStore, VersionState
from tradesense.core.testing import SecretStoreContract

THREE_FOR_EACH_RULE = True

ROTATING = {Capability.ROTATION, Capability.TRANSACTIONAL, Capability.CAS, Capability.BINARY, Capability.AUTHORS}
"""What `wrong_secrets.py` is about."""


class Stores(SecretStoreContract):
    """The memory adapter, which is right; what is wrong is a subclass of it."""

    capabilities = contracted.manifest("memory", SecretStore).capabilities - ROTATING
    patience = 0.5
    Store = MemorySecretStore

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Store(state, clock=SystemClock())


class TestRight(Stores):
    patience = SecretStoreContract.patience


# --- undeleting ------------------------------------------------------------------------------------------------------


class TestDeletesForGood(Stores):
    caught_by = (
        "test_a_deleted_secret_comes_back",
        "test_a_deleted_secret_has_versions_and_none_is_current",
        "test_a_destroyed_secret_does_not_come_back",
    )

    class Store(MemorySecretStore):
        async def delete(self, path):
            await self.get(path)
            await self.destroy(path)


class TestUndeletesUnderANewNumber(Stores):
    caught_by = (
        "test_a_deleted_secret_comes_back",
        "test_undeleting_what_is_there_changes_nothing",
    )

    class Store(MemorySecretStore):
        async def undelete(self, path):
            held = self._known(path).held[-1]
            await self.put(path, held.value)


class TestUndeletesTheLastVersionAlone(Stores):
    caught_by = ("test_a_deleted_secret_has_versions_and_none_is_current",)

    class Store(MemorySecretStore):
        async def undelete(self, path):
            await self.undelete_versions(path, [self._known(path).current])


class TestRefusesToUndeleteWhatIsThere(Stores):
    caught_by = ("test_undeleting_what_is_there_changes_nothing",)

    class Store(MemorySecretStore):
        async def undelete(self, path):
            if self._known(path).current_at(self._clock.now()):
                raise SecretNotFound(path)
            await super().undelete(path)


class TestHidesTheVersionsOfADeletedSecret(Stores):
    caught_by = (
        "test_a_deleted_secret_has_versions_and_none_is_current",
        "test_no_earlier_version_takes_the_place_of_a_deleted_current_one",
    )

    class Store(MemorySecretStore):
        async def versions(self, path):
            await self.get(path)
            return await super().versions(path)


class TestDestroysByDeleting(Stores):
    caught_by = ("test_a_destroyed_secret_does_not_come_back",)

    class Store(MemorySecretStore):
        async def destroy(self, path):
            await self.delete(path)


class TestDestroysWhatIsThereOnly(Stores):
    caught_by = ("test_a_destroyed_secret_does_not_come_back",)

    class Store(MemorySecretStore):
        async def destroy(self, path):
            await self.get(path)
            await super().destroy(path)


class TestSaysNothingOfWhatNeverWas(Stores):
    caught_by = (
        "test_what_never_was_can_be_neither_undeleted_nor_destroyed",
        "test_a_closed_store_says_so",
        "test_a_destroyed_secret_does_not_come_back",
    )

    class Store(MemorySecretStore):
        async def undelete(self, path):
            if self._rows.secrets.get(path) is not None:
                await super().undelete(path)


# --- single versions -------------------------------------------------------------------------------------------------


class TestFallsBackToAnEarlierVersion(Stores):
    caught_by = ("test_no_earlier_version_takes_the_place_of_a_deleted_current_one",)

    class Store(MemorySecretStore):
        async def get(self, path):
            try:
                return await super().get(path)
            except SecretNotFound:
                for one in reversed(await self.versions(path)):
                    if one.state is VersionState.AVAILABLE:
                        return await self.get_version(path, one.version)
                raise


class TestReadsDeletedVersions(Stores):
    caught_by = ("test_single_versions_are_deleted_and_brought_back",)

    class Store(MemorySecretStore):
        async def get_version(self, path, version):
            held = self._known(path).find(version)
            if held is not None and held.state is VersionState.DELETED:
                return replace(await self.get(path), value=held.value, version=version)
            return await super().get_version(path, version)


class TestDestroyedVersionsComeBack(Stores):
    caught_by = (
        "test_a_destroyed_version_stays_destroyed",
        "test_writing_over_a_deleted_current_version_goes_on_counting",
    )

    class Store(MemorySecretStore):
        async def destroy_versions(self, path, versions):
            await self.delete_versions(path, versions)


class TestForgetsDestroyedVersions(Stores):
    caught_by = (
        "test_a_destroyed_version_stays_destroyed",
        "test_writing_over_a_deleted_current_version_goes_on_counting",
    )

    class Store(MemorySecretStore):
        async def versions(self, path):
            return tuple(one for one in await super().versions(path) if one.state is not VersionState.DESTROYED)


class TestRefusesToDestroyTwice(Stores):
    caught_by = ("test_a_destroyed_version_stays_destroyed",)

    class Store(MemorySecretStore):
        async def destroy_versions(self, path, versions):
            if any(one.state is VersionState.DESTROYED for one in await self.versions(path) if one.version in versions):
                raise SecretNotFound(path)
            await super().destroy_versions(path, versions)


class TestChangesVersionsOneByOne(Stores):
    caught_by = ("test_of_several_versions_all_are_changed_or_none",)

    class Store(MemorySecretStore):
        async def delete_versions(self, path, versions):
            for version in versions:
                await super().delete_versions(path, [version])


class TestPassesOverAbsentVersions(Stores):
    caught_by = ("test_of_several_versions_all_are_changed_or_none",)

    class Store(MemorySecretStore):
        async def destroy_versions(self, path, versions):
            there = {one.version for one in await self.versions(path)}
            await super().destroy_versions(path, [version for version in versions if version in there])


class TestNumbersByWhatIsLeft(Stores):
    caught_by = ("test_writing_over_a_deleted_current_version_goes_on_counting",)

    class Store(MemorySecretStore):
        async def destroy_versions(self, path, versions):
            await super().destroy_versions(path, versions)
            async with self.state.begin():
                row = self._known(path)
                held = tuple(one for one in row.held if one.state is not VersionState.DESTROYED)
                self._rows.secrets.put(path, replace(row, held=held))
                self._rows.counts.put(path, held[-1].version if held else 0)


# --- metadata --------------------------------------------------------------------------------------------------------


class TestMergesMetadata(Stores):
    caught_by = ("test_metadata_is_replaced_as_a_whole_and_survives_writes",)

    class Store(MemorySecretStore):
        async def describe(self, path, custom):
            await super().describe(path, {**await self.metadata(path), **custom})


class TestLosesMetadataOnWriting(Stores):
    caught_by = ("test_metadata_is_replaced_as_a_whole_and_survives_writes",)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            version = await super().put(path, value, cas=cas, by=by)
            await self.describe(path, {})
            return version


class TestDescribingMakesAVersion(Stores):
    caught_by = ("test_metadata_is_replaced_as_a_whole_and_survives_writes",)

    class Store(MemorySecretStore):
        async def describe(self, path, custom):
            await super().describe(path, custom)
            await self.put(path, (await self.get(path)).value)


class TestDescribesWhatIsAbsent(Stores):
    caught_by = (
        "test_what_is_absent_has_no_metadata",
        "test_a_closed_store_says_so",
    )

    class Store(MemorySecretStore):
        async def describe(self, path, custom):
            if self._rows.secrets.get(path) is not None:
                await super().describe(path, custom)


# --- retention -------------------------------------------------------------------------------------------------------


class TestKeepsEverything(Stores):
    caught_by = ("test_the_newest_versions_are_kept",)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            wanted = await self._wanted(path)
            if wanted is not None:
                await self.retain(path, replace(wanted, max_versions=0))
            version = await super().put(path, value, cas=cas, by=by)
            if wanted is not None:
                await self.retain(path, wanted)
            return version

        async def _wanted(self, path):
            row = self._rows.secrets.get(path)
            return row.retention if row else None


class TestKeepsOneTooFew(Stores):
    caught_by = ("test_the_newest_versions_are_kept",)

    class Store(MemorySecretStore):
        async def retain(self, path, retention):
            await super().retain(path, replace(retention, max_versions=max(retention.max_versions - 1, 0)))

        async def retention(self, path):
            found = await super().retention(path)
            return replace(found, max_versions=found.max_versions and found.max_versions + 1)


class TestForgetsTheRetention(Stores):
    caught_by = ("test_the_newest_versions_are_kept", "test_a_version_that_reached_its_age_is_as_though_deleted")

    class Store(MemorySecretStore):
        async def retention(self, path):
            await super().retention(path)
            return Retention()


class TestAgesWhatWasThereBefore(Stores):
    caught_by = (
        "test_a_version_that_reached_its_age_is_as_though_deleted",
        "test_no_earlier_version_takes_the_place_of_a_deleted_current_one",
    )

    class Store(MemorySecretStore):
        async def get_version(self, path, version):
            await self.get(path)  # it looks at the age of the current version alone
            return await super().get_version(path, version)


class TestNeverAges(Stores):
    caught_by = ("test_a_version_that_reached_its_age_is_as_though_deleted",)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            version = await super().put(path, value, cas=cas, by=by)
            async with self.state.begin():
                row = self._known(path)
                held = tuple(replace(one, deleted_at=None) for one in row.held)
                self._rows.secrets.put(path, replace(row, held=held))
            return version


class TestRetainsWhatIsAbsent(Stores):
    caught_by = ("test_what_is_absent_has_no_retention",)

    class Store(MemorySecretStore):
        async def retention(self, path):
            try:
                return await super().retention(path)
            except SecretNotFound:
                return Retention()
