"""What is asked of a provider that can take a deletion back, and of one that erases single versions."""

from __future__ import annotations

from typing import Protocol

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import SecretNotFound
from tradesense.core.secrets.models import VersionState
from tradesense.core.secrets.ports import (
    ErasableSecretStore,
    RecoverableSecretStore,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import Contract, Make, fresh, opened, requires

AVAILABLE, DELETED, DESTROYED = VersionState.AVAILABLE, VersionState.DELETED, VersionState.DESTROYED


class _Recoverable(WritableSecretStore, RecoverableSecretStore, Protocol):
    """What the tests of undeleting need."""


class _RecoverableVersions(_Recoverable, VersionedSecretStore, Protocol):
    """The same, with versions."""


class _Erasable(WritableSecretStore, VersionedSecretStore, ErasableSecretStore, Protocol):
    """What the tests of single versions need."""


class RecoveryTests(Contract):
    """The part of the contract for ``Capability.UNDELETE`` and ``Capability.ERASE``."""

    port = SecretStore

    @requires(Capability.WRITE, Capability.UNDELETE)
    async def test_a_deleted_secret_comes_back(self, adapter: Make[_Recoverable]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            version = await store.put(path, Secret("kept"))
            for _ in range(2):
                await store.delete(path)
                with pytest.raises(SecretNotFound):
                    await store.get(path)
                assert (await store.list(path)).items == ()
                await store.undelete(path)
                found = await store.get(path)
                assert (found.value, found.version) == (Secret("kept"), version)
                assert (await store.list(path)).items == (path,)

    @requires(Capability.WRITE, Capability.UNDELETE)
    async def test_undeleting_what_is_there_changes_nothing(self, adapter: Make[_Recoverable]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            version = await store.put(path, Secret("there"))
            await store.undelete(path)
            found = await store.get(path)
            assert (found.value, found.version) == (Secret("there"), version)

    @requires(Capability.WRITE, Capability.UNDELETE, Capability.VERSIONS)
    async def test_a_deleted_secret_has_versions_and_none_is_current(self, adapter: Make[_RecoverableVersions]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            for value in ("one", "two"):
                await store.put(path, Secret(value))
            await store.delete(path)
            listed = await store.versions(path)
            assert [(one.version, one.state, one.current) for one in listed] == [
                (1, DELETED, False),
                (2, DELETED, False),
            ]
            for version in (1, 2):
                with pytest.raises(SecretNotFound):
                    await store.get_version(path, version)
            await store.undelete(path)
            listed = await store.versions(path)
            assert [(one.version, one.state, one.current) for one in listed] == [
                (1, AVAILABLE, False),
                (2, AVAILABLE, True),
            ]
            assert (await store.get_version(path, 1)).value == Secret("one")

    @requires(Capability.WRITE, Capability.UNDELETE)
    async def test_a_destroyed_secret_does_not_come_back(self, adapter: Make[_Recoverable]) -> None:
        async with opened(adapter()) as store:
            there, deleted = fresh(), fresh()
            for path in (there, deleted):
                await store.put(path, Secret("gone"))
            await store.delete(deleted)
            for path in (there, deleted):
                await store.destroy(path)
                for call in (store.get, store.undelete, store.destroy, store.delete):
                    with pytest.raises(SecretNotFound):
                        await call(path)
                assert (await store.list(path)).items == ()
                await store.put(path, Secret("new"))
                assert (await store.get(path)).value == Secret("new")

    @requires(Capability.WRITE, Capability.UNDELETE)
    async def test_what_never_was_can_be_neither_undeleted_nor_destroyed(self, adapter: Make[_Recoverable]) -> None:
        async with opened(adapter()) as store:
            for call in (store.undelete, store.destroy):
                with pytest.raises(SecretNotFound):
                    await call(fresh("absent"))

    @requires(Capability.WRITE, Capability.VERSIONS, Capability.ERASE)
    async def test_single_versions_are_deleted_and_brought_back(self, adapter: Make[_Erasable]) -> None:
        async with opened(adapter()) as store:
            path = await _three(store)
            for _ in range(2):  # what is deleted already stays deleted
                await store.delete_versions(path, [1, 2])
            assert await _states(store, path) == [DELETED, DELETED, AVAILABLE]
            for version in (1, 2):
                with pytest.raises(SecretNotFound):
                    await store.get_version(path, version)
            assert (await store.get(path)).version == 3
            await store.undelete_versions(path, [2, 3])
            assert await _states(store, path) == [DELETED, AVAILABLE, AVAILABLE]
            assert (await store.get_version(path, 2)).value == Secret("two")

    @requires(Capability.WRITE, Capability.VERSIONS, Capability.ERASE)
    async def test_no_earlier_version_takes_the_place_of_a_deleted_current_one(self, adapter: Make[_Erasable]) -> None:
        async with opened(adapter()) as store:
            path = await _three(store)
            await store.delete_versions(path, [3])
            with pytest.raises(SecretNotFound):
                await store.get(path)
            assert (await store.list(path)).items == ()
            assert [one.current for one in await store.versions(path)] == [False, False, False]
            assert (await store.get_version(path, 2)).value == Secret("two")
            await store.undelete_versions(path, [3])
            assert (await store.get(path)).value == Secret("three")
            assert (await store.list(path)).items == (path,)

    @requires(Capability.WRITE, Capability.VERSIONS, Capability.ERASE)
    async def test_a_destroyed_version_stays_destroyed(self, adapter: Make[_Erasable]) -> None:
        async with opened(adapter()) as store:
            path = await _three(store)
            await store.delete_versions(path, [2])
            for _ in range(2):
                await store.destroy_versions(path, [1, 2])
            assert await _states(store, path) == [DESTROYED, DESTROYED, AVAILABLE]
            for version in (1, 2):
                with pytest.raises(SecretNotFound):
                    await store.get_version(path, version)
                with pytest.raises(SecretNotFound):
                    await store.undelete_versions(path, [version])
            assert await _states(store, path) == [DESTROYED, DESTROYED, AVAILABLE]

    @requires(Capability.WRITE, Capability.VERSIONS, Capability.ERASE)
    async def test_of_several_versions_all_are_changed_or_none(self, adapter: Make[_Erasable]) -> None:
        async with opened(adapter()) as store:
            path = await _three(store)
            await store.delete_versions(path, [1])
            for call in (store.delete_versions, store.undelete_versions, store.destroy_versions):
                with pytest.raises(SecretNotFound):
                    await call(path, [1, 2, 4])
                with pytest.raises(SecretNotFound):
                    await call(fresh("absent"), [1])
            assert await _states(store, path) == [DELETED, AVAILABLE, AVAILABLE]

    @requires(Capability.WRITE, Capability.VERSIONS, Capability.ERASE)
    async def test_writing_over_a_deleted_current_version_goes_on_counting(self, adapter: Make[_Erasable]) -> None:
        async with opened(adapter()) as store:
            path = await _three(store)
            await store.destroy_versions(path, [3])
            assert await store.put(path, Secret("four")) == 4
            assert (await store.get(path)).version == 4
            assert await _states(store, path) == [AVAILABLE, AVAILABLE, DESTROYED, AVAILABLE]


async def _three(store: WritableSecretStore) -> str:
    """A secret with three versions."""
    path = fresh()
    for value in ("one", "two", "three"):
        await store.put(path, Secret(value))
    return path


async def _states(store: VersionedSecretStore, path: str) -> list[VersionState]:
    return [one.state for one in await store.versions(path)]
