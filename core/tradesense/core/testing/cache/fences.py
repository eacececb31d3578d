"""The contract of ``Fences``."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tradesense.core.cache.models import Lease
from tradesense.core.cache.ports import Fences
from tradesense.core.capabilities import Capability
from tradesense.core.errors import DatabaseUnavailable, LeaseLost
from tradesense.core.testing.base import Contract, Joined, Make, fresh, joined, requires, together
from tradesense.core.testing.checks import Calls, refuse_when_closed, refuse_when_unreachable, rolled_back
from tradesense.core.transactions import Transactions

LARGE = 1_700_000_000_000_000
"""Tokens may be microseconds since 1970."""
CALLS: Calls = {"guard": lambda fences: fences.guard(_lease(1, "closed"))}


def _lease(token: int, name: str) -> Lease:
    return Lease(name=name, owner="0123456789abcdef", token=token, ttl=60)


async def _passes(fences: Fences, unit: Transactions, token: int, name: str) -> bool:
    """Whether a guarded transaction of its own can be committed."""
    try:
        async with unit.begin():
            await fences.guard(_lease(token, name))
    except LeaseLost:
        return False
    return True


class FencesContract(Contract):
    """What every :class:`Fences` must do, in the transactions that it joins."""

    port = Fences

    @pytest.fixture
    def unreachable(self) -> Make[Fences] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_tokens_pass_in_their_order_and_again(self, adapter: Make[Fences], transactions: Joined) -> None:
        async with joined(adapter, transactions) as (fences, unit):
            name = fresh()
            for token in (1, 1, 2, 7, 7, LARGE):
                assert await _passes(fences, unit, token, name), f"the token {token} is the greatest so far"
            for token in (7, 1, LARGE - 1):
                assert not await _passes(fences, unit, token, name), f"the token {token} is an earlier holder's"
            assert await _passes(fences, unit, LARGE, name)

    async def test_names_have_fences_of_their_own(self, adapter: Make[Fences], transactions: Joined) -> None:
        async with joined(adapter, transactions) as (fences, unit):
            assert await _passes(fences, unit, 9, fresh())
            assert await _passes(fences, unit, 1, fresh())

    @requires(Capability.TRANSACTIONAL)
    async def test_a_transaction_that_is_rolled_back_leaves_the_fence_where_it_was(
        self, adapter: Make[Fences], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (fences, unit):
            name = fresh()
            async with rolled_back(unit):
                await fences.guard(_lease(9, name))
            assert await _passes(fences, unit, 3, name), "what was rolled back wrote nothing"

    @requires(Capability.TRANSACTIONAL)
    async def test_a_refused_transaction_cannot_be_committed_by_who_goes_on(
        self, adapter: Make[Fences], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (fences, unit):
            name, other = fresh(), fresh()
            assert await _passes(fences, unit, 5, name)
            refused = False
            try:
                async with unit.begin():
                    await fences.guard(_lease(9, other))
                    with suppress(LeaseLost):
                        await fences.guard(_lease(4, name))
                        pytest.fail("an earlier holder passed")
            except (DatabaseUnavailable, LeaseLost):
                refused = True
            assert refused, "the transaction of a refused holder was committed"
            assert await _passes(fences, unit, 8, other), "nothing of the refused transaction was kept"

    async def test_outside_a_transaction_there_is_nothing_to_guard(
        self, adapter: Make[Fences], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (fences, unit):
            name = fresh()
            with pytest.raises(DatabaseUnavailable):
                await fences.guard(_lease(9, name))
            assert await _passes(fences, unit, 1, name), "what was refused moved the fence"

    async def test_a_task_started_inside_is_outside_the_transaction(
        self, adapter: Make[Fences], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (fences, unit), unit.begin():
            child = asyncio.ensure_future(fences.guard(_lease(1, fresh())))
            await asyncio.wait([child], timeout=self.patience)
            assert isinstance(child.exception(), DatabaseUnavailable), "the child has no transaction of its own"

    async def test_of_many_at_once_an_earlier_one_never_writes_last(
        self, adapter: Make[Fences], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (fences, unit):
            name, order = fresh(), list[int]()

            async def write(number: int) -> None:
                token = (3, 1, 2, 5, 4, 6)[number % 6] + number // 6 * 10
                with suppress(LeaseLost):
                    async with unit.begin():
                        await fences.guard(_lease(token, name))
                        order.append(token)
                        await asyncio.sleep(0)

            assert await together(18, write, seconds=60) == [None] * 18
            assert order == sorted(order), "a later holder's write came before an earlier one's"
            assert order[-1] == 26, "the latest holder was refused"

    @requires(Capability.SHARED)
    async def test_two_adapters_share_their_fences(self, adapter: Make[Fences], transactions: Joined) -> None:
        async with (
            joined(adapter, transactions) as (fences, unit),
            joined(adapter, transactions) as (others, theirs),
        ):
            name = fresh()
            assert await _passes(fences, unit, 5, name)
            assert not await _passes(others, theirs, 4, name), "another process does not know the fence"
            assert await _passes(others, theirs, 6, name)
            assert not await _passes(fences, unit, 5, name)

    @requires(Capability.PERSISTENT)
    async def test_fences_stand_when_the_process_is_gone(self, adapter: Make[Fences], transactions: Joined) -> None:
        name = fresh()
        async with joined(adapter, transactions) as (fences, unit):
            assert await _passes(fences, unit, 5, name)
        async with joined(adapter, transactions) as (fences, unit):
            assert not await _passes(fences, unit, 4, name)

    async def test_unreachable_fences_are_unavailable(self, unreachable: Make[Fences] | None) -> None:
        await refuse_when_unreachable(unreachable, DatabaseUnavailable, CALLS)

    async def test_closed_fences_say_so(self, adapter: Make[Fences]) -> None:
        await refuse_when_closed(adapter(), CALLS)
