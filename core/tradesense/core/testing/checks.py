"""Checks that the contracts of several ports share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from tradesense.core.ambient import Clock
from tradesense.core.errors import AdapterClosed, Unavailable
from tradesense.core.testing.base import Make, opened
from tradesense.core.transactions import Transactions

T = TypeVar("T")

Advance = Callable[[float], None]
"""Lets a number of seconds pass, for adapters that take a Clock."""

Call = Callable[[Any], Awaitable[object]]
Calls = Mapping[str, Call]
"""Every method of a port by its name, called with valid arguments on the adapter that it is given."""

TURNS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144)
"""After how many turns of the event loop a call is cancelled: from before it began to after it ended."""


class ManualClock:
    """A clock that stands still until it is advanced; for the ``advance`` fixture of adapters that take a Clock."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """See :class:`Clock`."""
        return self._now

    def monotonic(self) -> float:
        """See :class:`Clock`."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


def unchanged(got: T, sent: T) -> bool:
    """Whether a value came back as it was sent. pytest shows no difference of two that are long: that takes minutes."""
    return got == sent


async def refuse_when_closed(adapter: object, calls: Calls) -> None:
    """Every call raises :class:`AdapterClosed` before opening and after closing. What cannot be opened passes."""
    if not hasattr(adapter, "__aenter__"):
        return
    await _refuse("before opening", adapter, calls)
    async with opened(adapter):
        pass
    await _refuse("after closing", adapter, calls)


async def _refuse(when: str, adapter: object, calls: Calls) -> None:
    for name, call in calls.items():
        try:
            answer = await call(adapter)
        except AdapterClosed:
            continue
        pytest.fail(f"{name} {when} must raise AdapterClosed; it returned {answer!r}")


async def interrupt(call: Callable[[], Awaitable[object]]) -> None:
    """Begin ``call()`` again and again and cancel it each time, a little later than the time before."""
    for turns in TURNS:
        task = asyncio.ensure_future(call())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


@asynccontextmanager
async def started(call: Coroutine[Any, Any, T]) -> AsyncGenerator[asyncio.Task[T]]:
    """Run ``call`` beside the body, and no longer than it."""
    task = asyncio.create_task(call)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def arrives(
    read: Callable[[], Awaitable[Sequence[T]]], expected: Sequence[T], *, seconds: float, what: str
) -> None:
    """``read`` gives exactly ``expected``, in any order, now or within ``seconds``."""
    found: Sequence[T] = ()

    async def arrived() -> bool:
        nonlocal found
        found = await read()
        return len(found) == len(expected) and all(found.count(one) == expected.count(one) for one in expected)

    try:
        async with asyncio.timeout(seconds):
            while not await arrived():  # noqa: ASYNC110  # the other end sets no event of ours
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"{what}: there were {list(found)!r:.2000}, not {list(expected)!r:.2000}")


async def refuse_when_unreachable(make: Make[Any] | None, error: type[Unavailable], calls: Calls) -> None:
    """Opening or else every call raises ``error`` when nothing answers at the other end."""
    if make is None:
        pytest.skip("there is no fixture `unreachable`: the adapter has no other end that could be away")
    for name, call in calls.items():
        try:
            async with opened(make()) as adapter:
                answer = await call(adapter)
        except error:
            continue
        pytest.fail(f"{name} must raise {error.__name__} when nothing answers; it returned {answer!r}")


class _Undone(Exception):
    """What ends a transaction that is to be rolled back."""


@asynccontextmanager
async def rolled_back(transactions: Transactions) -> AsyncGenerator[None]:
    """Run the body in a transaction that an exception ends."""
    with suppress(_Undone):
        async with transactions.begin():
            yield
            raise _Undone
        pytest.fail("a transaction must let through the exception that ends it")


_: type[Clock] = ManualClock
