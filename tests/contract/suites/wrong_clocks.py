"""Secret stores that are wrong where a process's clock is, and the tests that must catch them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.testing import SecretStoreContract

THREE_FOR_EACH_RULE = True

ORDER = "test_a_process_whose_clock_is_wrong_does_as_others_do"
AGE = "test_a_version_lives_as_long_whichever_clock_is_wrong"


class Shared(MemorySecretStore):
    """The memory adapter as though other processes shared it: `ahead` is by how much this one's clock is."""

    def __init__(self, state, ahead=0.0):
        super().__init__(state, clock=SystemClock())
        self.ahead = timedelta(seconds=ahead)
        self.own = contracted.Ahead(ahead)


class Stores(SecretStoreContract):
    """A store that is right; what is wrong is a subclass of it."""

    capabilities = frozenset({Capability.WRITE, Capability.VERSIONS, Capability.RETENTION, Capability.SHARED})
    patience = 0.5
    Store = Shared

    @pytest.fixture
    def state(self):
        return MemoryState()

    @pytest.fixture
    def adapter(self, state):
        return lambda: self.Store(state)

    @pytest.fixture
    def skewed(self, state):
        return lambda ahead: self.Store(state, ahead)


class TestRight(Stores):
    patience = SecretStoreContract.patience


class TestGoesByTheClockOfTheProcess(Stores):
    caught_by = (ORDER, AGE)

    class Store(Shared):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self._clock = self.own


class TestStampsByTheClockOfTheProcess(Stores):
    """Its ends are right, so that what is written behind lives too long in the eyes of those who compare."""

    caught_by = (ORDER, AGE)

    class Store(Shared):
        async def put(self, path, value, *, cas=None, by=""):
            version = await super().put(path, value, cas=cas, by=by)
            row = self._rows.secrets.get(path)
            last = replace(row.held[-1], created_at=self.own.now())
            async with self.state.begin():
                self._rows.secrets.put(path, replace(row, held=(*row.held[:-1], last)))
            return version


class TestTellsTimesByItsOwnClock(Stores):
    caught_by = (ORDER,)

    class Store(Shared):
        async def versions(self, path):
            return tuple(
                replace(
                    one,
                    created_at=one.created_at + self.ahead,
                    deleted_at=one.deleted_at and one.deleted_at + self.ahead,
                )
                for one in await super().versions(path)
            )


class TestLetsTheLatestStampWin(Stores):
    caught_by = (ORDER,)

    class Store(Shared):
        async def put(self, path, value, *, cas=None, by=""):
            row = self._rows.secrets.get(path)
            if row is not None and row.held[-1].created_at > self.own.now():
                return row.current
            return await super().put(path, value, cas=cas, by=by)


class TestAgesByTheClockOfWhoReads(Stores):
    caught_by = (AGE,)

    class Store(Shared):
        async def get(self, path):
            secret = self._present(path)
            return secret.read(secret.current, self.own.now())


class TestEndsByTheClockOfWhoWrites(Stores):
    caught_by = (AGE,)

    class Store(Shared):
        async def put(self, path, value, *, cas=None, by=""):
            version = await super().put(path, value, cas=cas, by=by)
            row = self._rows.secrets.get(path)
            last = row.held[-1]
            if last.deleted_at is not None:
                async with self.state.begin():
                    moved = replace(last, deleted_at=last.deleted_at + self.ahead)
                    self._rows.secrets.put(path, replace(row, held=(*row.held[:-1], moved)))
            return version
