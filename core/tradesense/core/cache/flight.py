"""Many callers, one value in the making."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Flight(Generic[T]):
    """One making of one key. It ends once for those who wait, and may go on afterwards with nobody waiting.

    Each caller waits on a future of its own: one that is cancelled takes nothing from the others.
    """

    __slots__ = ("_error", "_settled", "_value", "_waiters", "callers", "outdated", "task")

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[T | None]] = []
        self._value: T | None = None
        self._error: BaseException | None = None
        self._settled = False
        self.callers = 0
        """Who waited for it."""
        self.outdated = 0.0
        """When the key was last changed by somebody else; a value whose making began before is not kept."""
        self.task: asyncio.Task[None] | None = None

    async def result(self) -> T | None:
        """What the flight settles on. An error reaches every caller."""
        if not self._settled:
            self.callers += 1
            waiter: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            return await waiter
        if self._error is not None:
            raise self._error
        return self._value

    @property
    def settled(self) -> bool:
        """Whether everybody has an answer."""
        return self._settled

    def settle(self, value: T | None) -> None:
        """Give everybody who waits, and who comes while the flight still goes on, this value; once."""
        if not self._settled:
            self._settled, self._value = True, value
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(value)
            self._waiters.clear()

    def fail(self, error: BaseException) -> None:
        """Give everybody this error; once."""
        if not self._settled:
            self._settled, self._error = True, error
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_exception(error)
            self._waiters.clear()


class Flights:
    """The flights of one process, by key: those that may be joined, and those that only tidy up."""

    def __init__(self) -> None:
        self._open: dict[str, Flight[Any]] = {}
        self._all: dict[str, set[Flight[Any]]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._open

    def get(self, key: str) -> Flight[Any] | None:
        """The flight that may be joined."""
        return self._open.get(key)

    def start(self, key: str, run: Callable[[Flight[T]], Coroutine[Any, Any, None]]) -> Flight[T]:
        """A new flight for ``key``, which has none."""
        flight: Flight[T] = Flight()
        self._open[key] = flight
        self._all.setdefault(key, set()).add(flight)
        task = flight.task = asyncio.get_running_loop().create_task(run(flight))
        task.add_done_callback(lambda done: self._landed(key, flight, done))
        return flight

    def close(self, key: str, flight: Flight[Any]) -> None:
        """Let nobody join any more: the making is over, and whoever comes now looks for himself."""
        if self._open.get(key) is flight:
            del self._open[key]

    def outdate(self, key: str, stamp: float) -> None:
        """Let no flight of ``key`` keep anything whose making began before ``stamp``."""
        for flight in self._all.get(key, ()):
            flight.outdated = max(flight.outdated, stamp)

    async def cancel(self) -> None:
        """End all flights; those who wait are cancelled."""
        tasks = [flight.task for flights in self._all.values() for flight in flights if flight.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _landed(self, key: str, flight: Flight[Any], done: asyncio.Task[None]) -> None:
        self.close(key, flight)
        flights = self._all[key]
        flights.discard(flight)
        if not flights:
            del self._all[key]
        error = cast("BaseException", asyncio.CancelledError()) if done.cancelled() else done.exception()
        flight.fail(error or RuntimeError("a flight ended without an answer"))
