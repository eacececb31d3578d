"""Fences that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import pytest

from tradesense.adapters.memory._fences import MemoryFences
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.core.capabilities import Capability
from tradesense.core.errors import LeaseLost
from tradesense.core.testing import Contract, FencesContract


class OverMemory(FencesContract):
    capabilities = frozenset({Capability.TRANSACTIONAL, Capability.SHARED, Capability.PERSISTENT})
    Fences = MemoryFences
    patience = 0.3

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Fences(state)

    @pytest.fixture
    def transactions(self):
        return lambda fences: MemoryTransactions(fences.state)


class TestRight(OverMemory):
    patience = Contract.patience


class TestLetsEverybodyPass(OverMemory):
    caught_by = (
        "test_tokens_pass_in_their_order_and_again",
        "test_of_many_at_once_an_earlier_one_never_writes_last",
        "test_two_adapters_share_their_fences",
    )

    class Fences(MemoryFences):
        async def guard(self, lease):
            try:
                await super().guard(lease)
            except LeaseLost:
                self.state._spoilt = False


class TestRefusesTheSameHolderTwice(OverMemory):
    caught_by = ("test_tokens_pass_in_their_order_and_again",)

    class Fences(MemoryFences):
        async def guard(self, lease):
            if self.state.inside() and lease.token == self._tokens.get(lease.name):
                raise LeaseLost
            await super().guard(lease)


class TestHasOneFenceForAllNames(OverMemory):
    caught_by = ("test_names_have_fences_of_their_own",)

    class Fences(MemoryFences):
        async def guard(self, lease):
            greatest = max((self._tokens.get(name) or 0 for name in self._tokens.keys()), default=0)  # noqa: SIM118  # a method of ours
            if self.state.inside() and lease.token < greatest:
                self.state.spoil()
                raise LeaseLost
            await super().guard(lease)


class TestMovesTheFenceAtOnce(OverMemory):
    """As does who keeps tokens on a connection of its own."""

    caught_by = (
        "test_a_transaction_that_is_rolled_back_leaves_the_fence_where_it_was",
        "test_a_refused_transaction_cannot_be_committed_by_who_goes_on",
    )

    class Fences(MemoryFences):
        async def guard(self, lease):
            await super().guard(lease)
            self._tokens.commit()


class TestLetsTheRefusedCommit(OverMemory):
    caught_by = ("test_a_refused_transaction_cannot_be_committed_by_who_goes_on",)

    class Fences(MemoryFences):
        async def guard(self, lease):
            try:
                await super().guard(lease)
            except LeaseLost:
                self.state._spoilt = False
                raise


class TestGuardsOutsideATransaction(OverMemory):
    caught_by = (
        "test_outside_a_transaction_there_is_nothing_to_guard",
        "test_a_task_started_inside_is_outside_the_transaction",
    )

    class Fences(MemoryFences):
        async def guard(self, lease):
            self.check_open()
            async with self.state.begin():
                await super().guard(lease)


class TestKeepsTokensToItself(OverMemory):
    caught_by = ("test_two_adapters_share_their_fences", "test_fences_stand_when_the_process_is_gone")

    class Fences(MemoryFences):
        def __init__(self, state):
            super().__init__(state)
            self._tokens = type(self._tokens)(state)


class TestIsNeverClosed(OverMemory):
    caught_by = ("test_closed_fences_say_so",)

    class Fences(MemoryFences):
        def check_open(self):
            pass

        async def guard(self, lease):
            if self.state.inside():
                await super().guard(lease)
