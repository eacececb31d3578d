"""What is asked of a provider that keeps metadata, lets old versions go, or keeps envelopes."""

from __future__ import annotations

import asyncio
from typing import Protocol

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import SecretNotFound
from tradesense.core.secrets.models import Retention, Rewrapped, VersionState
from tradesense.core.secrets.ports import (
    DescribedSecretStore,
    EnvelopeStore,
    RetainingSecretStore,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import Contract, Make, eventually, fresh, opened, requires, together


class _Described(WritableSecretStore, DescribedSecretStore, Protocol):
    """What the tests of metadata need."""


class _Retaining(WritableSecretStore, VersionedSecretStore, RetainingSecretStore, Protocol):
    """What the tests of retention need."""


class _Enveloped(WritableSecretStore, EnvelopeStore, Protocol):
    """What the tests of envelopes need."""


class KeepingTests(Contract):
    """The part of the contract for ``Capability.METADATA``, ``RETENTION`` and ``ENVELOPES``."""

    port = SecretStore

    @requires(Capability.WRITE, Capability.METADATA)
    async def test_metadata_is_replaced_as_a_whole_and_survives_writes(self, adapter: Make[_Described]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            version = await store.put(path, Secret("x"))
            assert dict(await store.metadata(path)) == {}
            first = {"owner": "team-a", "env.name": "Zürich 漢字", "empty": "", "long": "x" * 200}
            await store.describe(path, first)
            assert dict(await store.metadata(path)) == first
            assert (await store.get(path)).version == version
            await store.put(path, Secret("y"))
            assert dict(await store.metadata(path)) == first
            await store.describe(path, {"owner": "team-b"})
            assert dict(await store.metadata(path)) == {"owner": "team-b"}
            await store.describe(path, {})
            assert dict(await store.metadata(path)) == {}
            assert (await store.get(path)).value == Secret("y")

    @requires(Capability.WRITE, Capability.METADATA)
    async def test_what_is_absent_has_no_metadata(self, adapter: Make[_Described]) -> None:
        async with opened(adapter()) as store:
            with pytest.raises(SecretNotFound):
                await store.metadata(fresh("absent"))
            with pytest.raises(SecretNotFound):
                await store.describe(fresh("absent"), {"owner": "nobody"})

    @requires(Capability.WRITE, Capability.VERSIONS, Capability.RETENTION)
    async def test_the_newest_versions_are_kept(self, adapter: Make[_Retaining]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            await store.put(path, Secret("1"))
            assert await store.retention(path) == Retention()
            await store.retain(path, Retention(max_versions=3))
            assert (await store.retention(path)).max_versions == 3
            for number in range(2, 7):
                assert await store.put(path, Secret(f"{number}")) == number
            assert [one.version for one in await store.versions(path)] == [4, 5, 6]
            for version in (1, 3):
                with pytest.raises(SecretNotFound):
                    await store.get_version(path, version)
            assert (await store.get_version(path, 4)).value == Secret("4")

    @requires(Capability.WRITE, Capability.VERSIONS, Capability.RETENTION)
    async def test_a_version_that_reached_its_age_is_as_though_deleted(self, adapter: Make[_Retaining]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            await store.put(path, Secret("stays"))
            await store.retain(path, Retention(delete_after=1))
            assert (await store.retention(path)).delete_after == 1
            await store.put(path, Secret("goes"))

            async def gone() -> bool:
                """The version that was written with an age is gone."""
                try:
                    await store.get(path)
                except SecretNotFound:
                    return True
                return False

            await eventually(gone, seconds=1 + self.patience)
            with pytest.raises(SecretNotFound):
                await store.get_version(path, 2)
            assert (await store.get_version(path, 1)).value == Secret("stays")
            assert (await store.list(path)).items == ()
            assert VersionState.AVAILABLE not in {one.state for one in await store.versions(path) if one.version == 2}

    @requires(Capability.WRITE, Capability.RETENTION)
    async def test_what_is_absent_has_no_retention(self, adapter: Make[_Retaining]) -> None:
        async with opened(adapter()) as store:
            with pytest.raises(SecretNotFound):
                await store.retention(fresh("absent"))
            with pytest.raises(SecretNotFound):
                await store.retain(fresh("absent"), Retention(max_versions=1))

    @requires(Capability.WRITE, Capability.ENVELOPES)
    async def test_envelopes_are_counted_by_their_keys(self, adapter: Make[_Enveloped]) -> None:
        async with opened(adapter()) as store:
            before = sum((await store.key_counts()).values())
            base = fresh()
            await together(5, lambda number: store.put(f"{base}/{number}", Secret("x")))
            counts = await store.key_counts()
            assert sum(counts.values()) >= before + 5
            assert all(key and count > 0 for key, count in counts.items())

    @requires(Capability.WRITE, Capability.ENVELOPES)
    async def test_rewrapping_ends_and_changes_no_value(self, adapter: Make[_Enveloped]) -> None:
        async with opened(adapter()) as store:
            base = fresh()
            for number in range(3):
                await store.put(f"{base}/{number}", Secret(f"value {number}"))
            after: tuple[str, int] | None = None
            for _ in range(sum((await store.key_counts()).values()) + 1):
                after = (await store.rewrap(limit=1, after=after)).after
                if after is None:
                    break
            assert after is None, "whoever goes on where the last call ended comes to an end"

            async def done() -> bool:
                """There is nothing more to rewrap."""
                return await store.rewrap(limit=1000) == Rewrapped()

            await eventually(done, seconds=self.patience)
            for number in range(3):
                assert (await store.get(f"{base}/{number}")).value == Secret(f"value {number}")

    @requires(Capability.WRITE, Capability.ENVELOPES)
    async def test_nothing_is_sealed_while_the_store_is_held(self, adapter: Make[_Enveloped]) -> None:
        async with opened(adapter()) as store, opened(adapter()) as other:
            path = fresh()
            await other.put(path, Secret("before"))
            async with store.held():
                before = await store.key_counts()
                write = asyncio.create_task(other.put(path, Secret("after")))
                await asyncio.wait([write], timeout=0.1)  # who is not held back has written by then
                assert not write.done()
                assert (await other.get(path)).value == Secret("before")
                assert await store.key_counts() == before
            await asyncio.wait_for(write, self.patience)
            assert (await store.get(path)).value == Secret("after")
            with pytest.raises(ZeroDivisionError):
                async with store.held():
                    raise ZeroDivisionError
            await asyncio.wait_for(store.put(path, Secret("again")), self.patience)
