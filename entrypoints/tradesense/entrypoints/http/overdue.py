"""A bound on what every request waits for, with one timer for all of them.

`asyncio.timeout` sets a timer each time, which costs more than reading a body of the usual size does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Overdue:
    """Ends waits that take longer than ``seconds``, the same for all of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: dict[asyncio.Task[object], float] = {}
        """Who waits, and until when, in the order in which they come due."""
        self._ended: set[asyncio.Task[object]] = set()
        self._watched: asyncio.AbstractEventLoop | None = None
        """The loop whose timer runs."""

    async def within(self, work: Awaitable[T]) -> T:
        """What ``work`` comes to.

        :raises TimeoutError: it took too long, and was cancelled.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("this is awaited in a task")
        loop, cancelling = task.get_loop(), task.cancelling()
        self._until[task] = until = loop.time() + self._seconds
        if self._watched is not loop:
            self._watched = loop
            loop.call_at(until, self._look, loop)
        try:
            return await work
        except asyncio.CancelledError as error:
            if task in self._ended and task.uncancel() <= cancelling:
                raise TimeoutError from error
            raise
        finally:
            del self._until[task]
            self._ended.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, until in self._until.items():
            if until > now:
                loop.call_at(until, self._look, loop)
                return
            if task not in self._ended:
                self._ended.add(task)
                task.cancel()
        self._watched = None
