"""What is asked of a provider that keeps versions, and of one that stages them."""

from __future__ import annotations

from typing import Protocol

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import SecretConflict, SecretNotFound
from tradesense.core.secrets.ports import RotatingSecretStore, SecretStore, VersionedSecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import Contract, Make, fresh, opened, requires, together


class _Versioned(WritableSecretStore, VersionedSecretStore, Protocol):
    """What the tests of versions need."""


class _Rotating(WritableSecretStore, RotatingSecretStore, Protocol):
    """What the tests of rotation need."""


class VersionTests(Contract):
    """The part of the contract for ``Capability.VERSIONS`` and ``Capability.ROTATION``."""

    port = SecretStore

    @requires(Capability.WRITE, Capability.VERSIONS)
    async def test_earlier_versions_can_be_read(self, adapter: Make[_Versioned]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            numbers = [await store.put(path, Secret(value)) for value in ("one", "two", "three")]
            assert numbers == [1, 2, 3]
            for number, value in zip(numbers, ("one", "two", "three"), strict=True):
                found = await store.get_version(path, number)
                assert (found.path, found.value, found.version) == (path, Secret(value), number)
            assert (await store.get(path)).version == 3

    @requires(Capability.WRITE, Capability.VERSIONS)
    async def test_versions_are_listed_oldest_first(self, adapter: Make[_Versioned]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            for value in ("one", "two", "three"):
                await store.put(path, Secret(value))
            listed = await store.versions(path)
            assert [(one.version, one.current) for one in listed] == [(1, False), (2, False), (3, True)]

    @requires(Capability.WRITE, Capability.VERSIONS)
    async def test_absent_versions_are_not_found(self, adapter: Make[_Versioned]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            await store.put(path, Secret("one"))
            for absent, version in ((path, 2), (path, 0), (path, 1_000_000), (fresh("absent"), 1)):
                with pytest.raises(SecretNotFound):
                    await store.get_version(absent, version)
            with pytest.raises(SecretNotFound):
                await store.versions(fresh("absent"))

    @requires(Capability.WRITE, Capability.VERSIONS)
    async def test_many_writes_at_once_get_a_version_each(self, adapter: Make[_Versioned]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            written = await together(20, lambda number: store.put(path, Secret(f"{number}")))
            assert sorted(written, key=str) == sorted(range(1, 21), key=str)
            for number, version in enumerate(written):
                assert isinstance(version, int)
                assert (await store.get_version(path, version)).value == Secret(f"{number}")

    @requires(Capability.WRITE, Capability.ROTATION)
    async def test_a_staged_version_is_not_visible_until_it_is_promoted(self, adapter: Make[_Rotating]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            before = await store.put(path, Secret("old"))
            staged = await store.stage(path, Secret("new"))
            found = await store.get(path)
            assert (found.value, found.version) == (Secret("old"), before)
            assert (await store.list(path)).items == (path,)
            await store.promote(path, staged)
            found = await store.get(path)
            assert (found.value, found.version) == (Secret("new"), staged)

    @requires(Capability.WRITE, Capability.VERSIONS, Capability.AUTHORS)
    async def test_each_version_says_who_wrote_it(self, adapter: Make[_Versioned]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            for by in ("user:0190-ab", "", "operator:é"):
                await store.put(path, Secret("x"), by=by)
            assert [one.created_by for one in await store.versions(path)] == ["user:0190-ab", "", "operator:é"]
            assert (await store.get(path)).created_by == "operator:é"
            assert (await store.get_version(path, 1)).created_by == "user:0190-ab"

    @requires(Capability.WRITE, Capability.ROTATION)
    async def test_what_is_staged_is_found_again(self, adapter: Make[_Rotating]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            assert await store.pending(path) is None
            await store.put(path, Secret("old"))
            assert await store.pending(path) is None
            await store.stage(path, Secret("first"))
            staged = await store.stage(path, Secret("second"))
            found = await store.pending(path)
            assert found is not None
            assert (found.path, found.value, found.version) == (path, Secret("second"), staged)
            await store.promote(path, staged)
            assert await store.pending(path) is None

    @requires(Capability.WRITE, Capability.ROTATION)
    async def test_promoting_again_changes_nothing(self, adapter: Make[_Rotating]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            await store.put(path, Secret("old"))
            staged = await store.stage(path, Secret("new"))
            for _ in range(2):
                await store.promote(path, staged)
                found = await store.get(path)
                assert (found.value, found.version) == (Secret("new"), staged)

    @requires(Capability.WRITE, Capability.ROTATION)
    async def test_a_second_staging_takes_the_place_of_the_first(self, adapter: Make[_Rotating]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            await store.put(path, Secret("old"))
            first = await store.stage(path, Secret("first"))
            second = await store.stage(path, Secret("second"))
            if first != second:
                with pytest.raises(SecretConflict):
                    await store.promote(path, first)
                assert (await store.get(path)).value == Secret("old")
            await store.promote(path, second)
            assert (await store.get(path)).value == Secret("second")

    @requires(Capability.WRITE, Capability.ROTATION)
    async def test_only_what_is_pending_or_current_can_be_promoted(self, adapter: Make[_Rotating]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            with pytest.raises(SecretNotFound):
                await store.stage(path, Secret("never"))
            old = await store.put(path, Secret("old"))
            current = await store.put(path, Secret("current"))
            for wrong in {old, current + 1, current + 100} - {current}:
                with pytest.raises(SecretConflict):
                    await store.promote(path, wrong)
            assert (await store.get(path)).value == Secret("current")

    @requires(Capability.WRITE, Capability.ROTATION)
    async def test_readers_see_the_old_value_or_the_new_one_while_it_is_promoted(
        self, adapter: Make[_Rotating]
    ) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            await store.put(path, Secret("old"))
            staged = await store.stage(path, Secret("new"))

            async def step(number: int) -> str:
                if number == 10:
                    await store.promote(path, staged)
                return (await store.get(path)).value.reveal()

            seen = await together(30, step)
            assert set(map(str, seen)) <= {"old", "new"}
            assert seen[10] == "new"
