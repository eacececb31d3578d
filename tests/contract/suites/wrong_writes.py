"""Secret stores that are wrong in writing, and the tests that must catch them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from memorystores import Right, Stores
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.errors import InvalidInput, SecretConflict, SecretNotFound, SecretStoreUnavailable, SecretTooLarge
from tradesense.core.secrets.models import MAX_VALUE
from tradesense.core.sensitive import Secret

THREE_FOR_EACH_RULE = True

CURRENT = "test_what_is_written_is_current"
OUTLIVES = "test_what_is_written_outlives_the_adapter"
UNCHANGED = "test_a_value_comes_back_unchanged"
BYTES = "test_any_bytes_come_back_unchanged"
LARGEST = "test_a_value_of_the_largest_size_is_held"
BELOW = "test_a_path_and_a_path_below_it_are_two_secrets"
ABSENT = "test_what_is_absent_cannot_be_deleted"
ARRIVE = "test_many_writes_at_once_all_arrive"
EACH = "test_many_writes_at_once_get_a_version_each"
CANCELLED = "test_a_cancelled_write_leaves_it_usable"
NOTHING = "test_a_write_that_expects_nothing_needs_an_absent_secret"
COMMITTED = "test_a_committed_transaction_leaves_everything"
EARLIER = "test_earlier_versions_can_be_read"


class TestRight(Right):
    pass


# --- values ----------------------------------------------------------------------------------------------------------


class TestEndsAtAZero(Stores):
    caught_by = (BYTES,)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            return await super().put(path, Secret(value.reveal_bytes().partition(b"\0")[0]), cas=cas, by=by)


class TestMakesLinesOfUnix(Stores):
    caught_by = (UNCHANGED,)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            return await super().put(path, Secret(value.reveal_bytes().replace(b"\r\n", b"\n")), cas=cas, by=by)


class TestHoldsLessThanItSays(Stores):
    caught_by = (LARGEST, UNCHANGED)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            if len(value) > MAX_VALUE // 2:
                raise SecretTooLarge("half is enough")
            return await super().put(path, value, cas=cas, by=by)


class TestKeepsOneByteTooFew(Stores):
    caught_by = (LARGEST, UNCHANGED)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            return await super().put(path, Secret(value.reveal_bytes()[: MAX_VALUE - 1]), cas=cas, by=by)


class TestHasOneSecretForATree(Stores):
    caught_by = (BELOW,)

    class Store(MemorySecretStore):
        async def delete(self, path):
            await super().delete(path)
            for below in (await self.list(f"{path}/")).items:
                await super().delete(below)


class TestMakesFoldersSecrets(Stores):
    caught_by = (BELOW,)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            folder = path.rpartition("/")[0]
            if folder and self._rows.secrets.get(folder) is None:
                await super().put(folder, Secret("a folder"))
            return await super().put(path, value, cas=cas, by=by)


class TestWritesAnotherVersionThanItSays(Stores):
    caught_by = (CURRENT, EARLIER)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            return 1 + await super().put(path, value, cas=cas, by=by)


# --- deleting, processes, transactions -------------------------------------------------------------------------------


class TestDeletesNothingAsWell(Stores):
    caught_by = (ABSENT,)

    class Store(MemorySecretStore):
        async def delete(self, path):
            self.check_open()
            if self._rows.secrets.get(path) is not None:
                await super().delete(path)


class TestDeletesTwice(Stores):
    caught_by = (ABSENT,)

    class Store(MemorySecretStore):
        async def delete(self, path):
            if not self._known(path).current_at(self._clock.now()):
                return
            await super().delete(path)


class TestRefusesToDeleteWhatIsAbsentAsMalformed(Stores):
    caught_by = (ABSENT,)

    class Store(MemorySecretStore):
        async def delete(self, path):
            try:
                await super().delete(path)
            except SecretNotFound as error:
                raise InvalidInput("there is nothing to delete") from error


class TestForgetsWhenItIsClosed(Stores):
    caught_by = (OUTLIVES,)

    class Store(MemorySecretStore):
        async def __aexit__(self, *details):
            async with self.state.begin():
                for path, _ in [*self._rows.secrets.scan("", after=False)]:
                    self._rows.secrets.remove(path)
            await super().__aexit__(*details)


class TestKeepsItsSecretsToItself(Stores):
    caught_by = (OUTLIVES,)

    @pytest.fixture
    def adapter(self):
        return lambda: self.Store(MemoryState(), clock=SystemClock())


class TestWritesWhenItHasTime(Stores):
    """What is written is kept for the next write to take along, and the last is lost with the adapter."""

    caught_by = (OUTLIVES,)

    class Store(MemorySecretStore):
        waiting = None

        async def put(self, path, value, *, cas=None, by=""):  # noqa: ARG002  # that is its fault
            if self.waiting is not None:
                await super().put(*self.waiting)
            self.waiting = path, value
            return 1


class TestCommitsTheLastAlone(Stores):
    caught_by = (COMMITTED,)

    @pytest.fixture
    def transactions(self):
        def made(store):
            class Last(MemoryTransactions):
                @asynccontextmanager
                async def begin(self):
                    async with super().begin():
                        yield
                    written = [path for path, _ in store._rows.secrets.scan("", after=False)]
                    async with store.state.begin():
                        for path in written[:-1]:
                            store._rows.secrets.remove(path)

            return Last(store.state)

        return made


class TestRollsEveryTransactionBack(Stores):
    caught_by = (COMMITTED,)

    @pytest.fixture
    def transactions(self):
        def made(store):
            class Never(MemoryTransactions):
                @asynccontextmanager
                async def begin(self):
                    async with super().begin():
                        yield
                    async with store.state.begin():
                        for path, _ in [*store._rows.secrets.scan("", after=False)]:
                            store._rows.secrets.remove(path)

            return Never(store.state)

        return made


class TestTakesOneWriteIntoATransaction(Stores):
    caught_by = (COMMITTED,)

    class Store(MemorySecretStore):
        taken = 0

        async def put(self, path, value, *, cas=None, by=""):
            self.taken += 1
            if self.taken > 1:
                raise SecretStoreUnavailable("the transaction has a write already")
            return await super().put(path, value, cas=cas, by=by)


# --- many at once, and those that are cancelled ----------------------------------------------------------------------


class TestIsCrowdedByWriters(Stores):
    caught_by = (ARRIVE, EACH)

    class Store(MemorySecretStore):
        inside = 0

        async def put(self, path, value, *, cas=None, by=""):
            if self.inside >= 10:
                raise SecretStoreUnavailable("every connection is in use")
            self.inside += 1
            await asyncio.sleep(0)
            self.inside -= 1
            return await super().put(path, value, cas=cas, by=by)


class TestMixesWritesUp(Stores):
    caught_by = (ARRIVE, EACH)

    class Store(MemorySecretStore):
        value = None

        async def put(self, path, value, *, cas=None, by=""):
            self.value = value
            await asyncio.sleep(0)
            return await super().put(path, self.value, cas=cas, by=by)


class TestCountsForAllPathsTogether(Stores):
    caught_by = (ARRIVE,)

    class Store(MemorySecretStore):
        def _count(self, path):  # noqa: ARG002  # that is its fault
            return super()._count("all")


class TestLooksForANumberAndThenWrites(Stores):
    caught_by = (EACH,)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):  # noqa: ARG002  # not about that
            self.check_open()
            row = self._rows.secrets.get(path)
            number = len(row.held) + 1 if row else 1
            await asyncio.sleep(0)
            if row is not None or number > 1 or self._rows.secrets.get(path) is not None:
                return number
            return await super().put(path, value, by=by)


class TestLosesItsTurnWithACancelledWrite(Stores):
    caught_by = (CANCELLED,)

    class Store(MemorySecretStore):
        turn = None

        async def put(self, path, value, *, cas=None, by=""):
            self.turn = self.turn or asyncio.Semaphore(1)
            await self.turn.acquire()
            await asyncio.sleep(0)  # a cancellation here keeps the turn for ever
            self.turn.release()
            return await super().put(path, value, cas=cas, by=by)


class TestIsClosedByACancelledWrite(Stores):
    caught_by = (CANCELLED,)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                await self.__aexit__(None, None, None)
                raise
            return await super().put(path, value, cas=cas, by=by)


class TestGoesOnWritingWhatWasCancelled(Stores):
    """The cancelled write is done again after every later one."""

    caught_by = (CANCELLED,)

    class Store(MemorySecretStore):
        left = None

        async def put(self, path, value, *, cas=None, by=""):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                self.left = value
                raise
            version = await super().put(path, value, cas=cas, by=by)
            return version if self.left is None else await super().put(path, self.left)


# --- compare and set -------------------------------------------------------------------------------------------------


class TestTakesNoughtForAnything(Stores):
    caught_by = (NOTHING,)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            return await super().put(path, value, cas=cas or None, by=by)


class TestExpectsThatNothingEverWas(Stores):
    """A secret that was deleted can be written no more by those who expect none."""

    caught_by = (NOTHING,)

    class Store(MemorySecretStore):
        async def put(self, path, value, *, cas=None, by=""):
            if cas == 0 and self._rows.secrets.get(path) is not None:
                raise SecretConflict(path)
            return await super().put(path, value, cas=cas, by=by)
