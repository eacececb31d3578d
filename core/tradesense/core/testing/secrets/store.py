"""The contract of ``SecretStore`` and of what it may be able to do besides."""

from __future__ import annotations

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import SecretNotFound
from tradesense.core.secrets.ports import (
    DescribedSecretStore,
    EnvelopeStore,
    ErasableSecretStore,
    RecoverableSecretStore,
    RetainingSecretStore,
    RotatingSecretStore,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import Joined, Make, fresh, joined, opened, requires
from tradesense.core.testing.checks import rolled_back
from tradesense.core.testing.secrets.clocks import ClockTests
from tradesense.core.testing.secrets.keeping import KeepingTests
from tradesense.core.testing.secrets.reading import ReadingTests
from tradesense.core.testing.secrets.recovery import RecoveryTests
from tradesense.core.testing.secrets.versions import VersionTests
from tradesense.core.testing.secrets.writing import WritingTests


class SecretStoreContract(ReadingTests, WritingTests, VersionTests, RecoveryTests, KeepingTests, ClockTests):
    """What every :class:`SecretStore` must do.

    Override ``adapter`` and set ``capabilities``. A read-only provider overrides ``seed`` as well, a transactional one
    ``transactions``, one with a server ``unreachable``, one with credentials ``denied``, one that processes of several
    machines share ``skewed``.
    """

    port = SecretStore
    extensions = {  # noqa: RUF012  # the base declares it as a ClassVar
        Capability.WRITE: WritableSecretStore,
        Capability.VERSIONS: VersionedSecretStore,
        Capability.UNDELETE: RecoverableSecretStore,
        Capability.ERASE: ErasableSecretStore,
        Capability.METADATA: DescribedSecretStore,
        Capability.RETENTION: RetainingSecretStore,
        Capability.ROTATION: RotatingSecretStore,
        Capability.ENVELOPES: EnvelopeStore,
    }

    @requires(Capability.WRITE, Capability.SHARED)
    async def test_two_adapters_see_each_others_writes(self, adapter: Make[WritableSecretStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            path = fresh()
            await one.put(path, Secret("by one"))
            assert (await two.get(path)).value == Secret("by one")
            await two.put(path, Secret("by two"))
            assert (await one.get(path)).value == Secret("by two")
            await one.delete(path)
            with pytest.raises(SecretNotFound):
                await two.get(path)

    @requires(Capability.WRITE, Capability.PERSISTENT)
    async def test_what_is_written_outlives_the_adapter(self, adapter: Make[WritableSecretStore]) -> None:
        path = fresh()
        async with opened(adapter()) as store:
            await store.put(path, Secret("kept"))
        async with opened(adapter()) as store:
            assert (await store.get(path)).value == Secret("kept")

    @requires(Capability.WRITE, Capability.TRANSACTIONAL)
    async def test_a_rolled_back_transaction_leaves_nothing(
        self, adapter: Make[WritableSecretStore], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            new, kept = fresh(), fresh()
            await store.put(kept, Secret("kept"))
            async with rolled_back(unit):
                await store.put(new, Secret("never"))
                await store.delete(kept)
                assert (await store.get(new)).value == Secret("never")
            with pytest.raises(SecretNotFound):
                await store.get(new)
            assert (await store.get(kept)).value == Secret("kept")

    @requires(Capability.WRITE, Capability.TRANSACTIONAL)
    async def test_a_committed_transaction_leaves_everything(
        self, adapter: Make[WritableSecretStore], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            paths = [fresh(), fresh()]
            async with unit.begin():
                for path in paths:
                    await store.put(path, Secret(path))
            assert [(await store.get(path)).value for path in paths] == [Secret(path) for path in paths]
