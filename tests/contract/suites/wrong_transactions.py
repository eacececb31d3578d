"""Transactions that are wrong on purpose."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.audit import MemoryAuditLog
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.core.audit.chain import AuditChain
from tradesense.core.testing import ManualClock, TransactionsContract


class OverMemory(TransactionsContract):
    """The memory transactions, which are right; what is wrong is a subclass of them."""

    Unit = MemoryTransactions
    State = MemoryState
    patience = 0.3

    @pytest.fixture
    def adapter(self):
        state = self.State()
        return lambda: self.Unit(state)

    @pytest.fixture
    def log(self):
        return lambda unit: MemoryAuditLog(unit.state, chain=AuditChain(bytes(32)), clock=ManualClock())


class TestRight(OverMemory):
    patience = 10


class TestRollsNothingBack(OverMemory):
    caught_by = (
        "test_leaving_by_an_exception_rolls_all_back",
        "test_a_cancelled_task_rolls_all_back",
        "test_without_a_transaction_each_call_commits",
    )

    class Unit(MemoryTransactions):
        def begin(self):
            self.check_open()
            return nullcontext()


class TestCommitsTheCancelled(OverMemory):
    """As does who catches `Exception` and nothing beyond it."""

    caught_by = ("test_a_cancelled_task_rolls_all_back", "test_leaving_by_an_exception_rolls_all_back")

    class Unit(MemoryTransactions):
        @asynccontextmanager
        async def begin(self):
            self.check_open()
            end = None
            async with self.state.begin():
                try:
                    yield
                except Exception:
                    raise
                except BaseException as error:  # noqa: BLE001  # that is what is wrong
                    end = error
            if end is not None:
                raise end


class TestSwallowsTheException(OverMemory):
    caught_by = ("test_leaving_by_an_exception_rolls_all_back",)

    class Unit(MemoryTransactions):
        @asynccontextmanager
        async def begin(self):
            try:
                async with super().begin():
                    yield
            except ValueError:
                pass


class TestHidesTheException(OverMemory):
    caught_by = ("test_leaving_by_an_exception_rolls_all_back",)

    class Unit(MemoryTransactions):
        @asynccontextmanager
        async def begin(self):
            try:
                async with super().begin():
                    yield
            except ValueError as error:
                raise RuntimeError from error


class TestCommitsInside(OverMemory):
    caught_by = ("test_a_transaction_inside_another_joins_it",)

    class State(MemoryState):
        @asynccontextmanager
        async def begin(self):
            inside = self.inside()
            async with super().begin():
                yield
                if inside:
                    for table in self._changed:
                        table.commit()


class TestChildrenJoin(OverMemory):
    """As where the transaction stands in a context variable, which a new task inherits."""

    caught_by = ("test_a_task_started_inside_does_not_join",)

    class State(MemoryState):
        def __init__(self):
            super().__init__()
            self._mine = ContextVar("mine", default=None)

        def inside(self):
            return self._owner is not None and self._mine.get() is self._owner

        @asynccontextmanager
        async def begin(self):
            known = self._mine.set(asyncio.current_task() if not self.inside() else self._owner)
            try:
                async with super().begin():
                    yield
            finally:
                self._mine.reset(known)


class TestLetsTransactionsOverlap(OverMemory):
    caught_by = ("test_concurrent_transactions_are_each_whole",)

    class State(MemoryState):
        def inside(self):
            return self._owner is not None

        @asynccontextmanager
        async def begin(self):
            async with super().begin() if not self.inside() else nullcontext():
                yield


class TestIsNeverClosed(OverMemory):
    caught_by = ("test_closed_transactions_refuse",)

    class Unit(MemoryTransactions):
        def check_open(self):
            pass


class TestCallsBeforeTheCommit(OverMemory):
    caught_by = (
        "test_after_a_commit_what_asked_for_it_is_called_once",
        "test_after_a_roll_back_nothing_is_called",
    )

    class Unit(MemoryTransactions):
        def after_commit(self, call):
            call()


class TestCallsAfterARollBack(OverMemory):
    caught_by = ("test_after_a_roll_back_nothing_is_called",)

    class State(MemoryState):
        @asynccontextmanager
        async def begin(self):
            inside = self.inside()
            kept = []
            try:
                async with super().begin():
                    try:
                        yield
                    finally:
                        if not inside:
                            kept, self._after = self._after, []
            finally:
                for call in kept:
                    call()


class TestKeepsWhatTheRolledBackAskedFor(OverMemory):
    caught_by = ("test_after_a_roll_back_nothing_is_called",)

    class State(MemoryState):
        def __init__(self):
            super().__init__()
            self.kept = []

        @asynccontextmanager
        async def begin(self):
            inside = self.inside()
            async with super().begin():
                yield
            if not inside:
                kept, self.kept = self.kept, []
                for call in kept:
                    call()

        def after_commit(self, call):
            if self.inside():
                self.kept.append(call)
            else:
                call()
