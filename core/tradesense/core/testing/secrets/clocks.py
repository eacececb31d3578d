"""What is asked of a store that processes of several machines share: their clocks are not the same."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import SecretNotFound
from tradesense.core.secrets.models import Retention
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import Contract, Make, eventually, fresh, opened, requires

MINUTES = 600.0
AGE = 60.0
SLACK = timedelta(seconds=5)
"""By how much two readings of one clock may differ here; some stores know whole seconds only."""

Skewed = Callable[[float], Any]
"""Like ``adapter``, in a process whose clock is so many seconds ahead."""


class ClockTests(Contract):
    """The part of the contract for a process whose clock is minutes off. Times are the store's, or are nobody's."""

    port = SecretStore

    @pytest.fixture
    def skewed(self) -> Skewed | None:
        """Override this where processes of several machines share the store.

        Return a callable that takes seconds, negative ones as well, and makes an unopened adapter as ``adapter`` does,
        for a process whose clock is so far ahead of the others'.
        """
        return None

    @requires(Capability.WRITE)
    async def test_a_process_whose_clock_is_wrong_does_as_others_do(
        self, adapter: Make[Any], skewed: Skewed | None
    ) -> None:
        async with _all(adapter, skewed) as stores:
            path, (right, behind, ahead) = fresh(), stores
            for number, writer in enumerate((right, behind, right, ahead, right), start=1):
                version = await writer.put(path, Secret(f"{number}"))
                for reader in stores:
                    found = await reader.get(path)
                    assert (found.value, found.version) == (Secret(f"{number}"), version)
            if Capability.VERSIONS in self.capabilities:
                await self._in_order(stores, path)
            await ahead.delete(path)
            for reader in stores:
                with pytest.raises(SecretNotFound):
                    await reader.get(path)
                assert (await reader.list(path)).items == ()

    async def _in_order(self, stores: Sequence[Any], path: str) -> None:
        listed = [await store.versions(path) for store in stores]
        assert listed[1:] == [listed[0]] * 2
        made = [one.created_at for one in listed[0] if one.created_at is not None]
        for before, after in itertools.pairwise(made):
            assert -SLACK < after - before < timedelta(seconds=MINUTES / 2)

    @requires(Capability.WRITE, Capability.VERSIONS, Capability.RETENTION)
    async def test_a_version_lives_as_long_whichever_clock_is_wrong(
        self, adapter: Make[Any], skewed: Skewed | None
    ) -> None:
        async with _all(adapter, skewed) as stores:
            path, short, (right, behind, _) = fresh(), fresh(), stores
            for place, age in ((path, AGE), (short, 1.0)):
                await right.put(place, Secret("without an age"))
                await behind.retain(place, Retention(delete_after=age))
            await right.put(short, Secret("goes"))
            for writer in stores:
                version = await writer.put(path, Secret("stays"))
                for reader in stores:
                    assert (await reader.get(path)).version == version
                    last = (await reader.versions(path))[-1]
                    assert last.created_at is not None
                    assert last.deleted_at is not None
                    assert abs(last.deleted_at - last.created_at - timedelta(seconds=AGE)) < SLACK

            async def gone() -> bool:
                """What reached its age is gone for everybody."""
                return not [reader for reader in stores if await _there(reader, short)]

            await eventually(gone, seconds=1 + self.patience)


@asynccontextmanager
async def _all(adapter: Make[Any], skewed: Skewed | None) -> AsyncGenerator[tuple[Any, Any, Any]]:
    """A store of a process whose clock is right, of one whose clock is behind, and of one that is ahead."""
    if skewed is None:
        pytest.skip("there is no fixture `skewed`: the adapter is not shared by processes of several machines")
    async with opened(adapter()) as right, opened(skewed(-MINUTES)) as behind, opened(skewed(MINUTES)) as ahead:
        yield right, behind, ahead


async def _there(store: Any, path: str) -> bool:
    try:
        await store.get(path)
    except SecretNotFound:
        return False
    return True
