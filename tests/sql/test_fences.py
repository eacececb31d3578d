"""A guard lets the transaction of the latest holder happen, and no earlier holder's after it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

import sqldatabases
from tradesense.adapters.sql.transactions import SqlTransactions
from tradesense.core.cache.models import Lease
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import AdapterClosed, DatabaseUnavailable, LeaseLost


def lease(token, name="job"):
    return Lease(name=name, owner="0123456789abcdef", token=token, ttl=60)


@pytest.fixture
async def transactions(database_url):
    locks = sqldatabases.sql(LockProvider, database_url)
    async with SqlTransactions(locks._shared) as unit:
        yield unit


async def test_tokens_pass_in_their_order_and_again(transactions):
    for token in (1, 1, 2, 7, 7, 1_700_000_000_000_000):
        async with transactions.begin():
            await transactions.guard(lease(token))
    for token in (7, 1, 1_699_999_999_999_999):
        with pytest.raises(LeaseLost, match="later holder"):
            async with transactions.begin():
                await transactions.guard(lease(token))
    async with transactions.begin():
        await transactions.guard(lease(1, "another"))


async def test_a_refused_transaction_cannot_be_committed_by_who_goes_on(transactions):
    async with transactions.begin():
        await transactions.guard(lease(5))

    async def go_on():
        async with transactions.begin():
            await transactions.guard(lease(9, "other"))
            with suppress(LeaseLost):
                await transactions.guard(lease(4))

    with pytest.raises(DatabaseUnavailable, match="a part of the transaction failed"):
        await go_on()
    async with transactions.begin():
        await transactions.guard(lease(8, "other"))


async def test_a_transaction_that_fails_leaves_the_fence_where_it_was(transactions):
    async def fail():
        async with transactions.begin():
            await transactions.guard(lease(9))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with transactions.begin():
        await transactions.guard(lease(3))


async def test_outside_a_transaction_there_is_nothing_to_guard(transactions):
    with pytest.raises(DatabaseUnavailable, match="needs a transaction"):
        await transactions.guard(lease(1))


async def test_of_two_at_once_the_earlier_never_writes_last(transactions):
    order = []

    async def write(token):
        try:
            async with transactions.begin():
                await transactions.guard(lease(token))
                order.append(token)
                await asyncio.sleep(0.01)
        except LeaseLost:
            return

    await asyncio.gather(*(write(token) for token in (3, 1, 2, 5, 4, 6)))
    assert order == sorted(order)
    assert order[-1] == 6


async def test_a_closed_one_says_so(database_url):
    locks = sqldatabases.sql(LockProvider, database_url)
    with pytest.raises(AdapterClosed):
        await SqlTransactions(locks._shared).guard(lease(1))
