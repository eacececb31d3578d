"""What takes too long is ended, what is in time is not, and who cancels is not told of a time-out."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.entrypoints.http.overdue import Overdue

SOON = 0.02


async def never():
    await asyncio.Event().wait()


async def at_once():
    return "done"


async def test_what_is_in_time_comes_back():
    overdue = Overdue(60)
    assert await asyncio.gather(*(overdue.within(at_once()) for _ in range(100))) == ["done"] * 100


async def test_what_never_ends_is_ended_every_time():
    overdue = Overdue(SOON)
    for _ in range(3):
        assert await overdue.within(at_once()) == "done"
        ended = await asyncio.gather(*(overdue.within(never()) for _ in range(5)), return_exceptions=True)
        assert [type(one) for one in ended] == [TimeoutError] * 5


async def test_an_error_of_the_work_is_its_own():
    overdue = Overdue(SOON)

    async def fails():
        raise KeyError("x")

    with pytest.raises(KeyError):
        await overdue.within(fails())
    with pytest.raises(TimeoutError):
        await overdue.within(never())


async def test_who_is_cancelled_by_another_is_cancelled():
    overdue = Overdue(60)
    task = asyncio.create_task(overdue.within(never()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_who_was_ended_goes_on_and_can_be_cancelled_later():
    overdue, reached = Overdue(SOON), asyncio.Event()

    async def goes_on():
        with pytest.raises(TimeoutError):
            await overdue.within(never())
        reached.set()
        await never()

    task = asyncio.create_task(goes_on())
    await reached.wait()
    assert task.cancelling() == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_one_that_was_used_in_a_loop_that_is_gone_works_in_the_next():
    overdue = Overdue(SOON)

    async def ended():
        with pytest.raises(TimeoutError):
            await overdue.within(never())

    async def left():
        assert await overdue.within(at_once()) == "done"

    for work in (left, ended, left, ended):
        asyncio.run(work())
