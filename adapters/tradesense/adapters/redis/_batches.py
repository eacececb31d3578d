"""Calls that many tasks make at one time, sent to the server as one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from tradesense.core.errors import AdapterClosed, Unavailable

Q = TypeVar("Q")
A = TypeVar("A")

CARRIERS = 4
"""Batches on their way at one time. What is asked while all are out makes the next one larger."""


class Asked(Generic[Q, A]):
    """One question, and where its answer is awaited."""

    __slots__ = ("answer", "at", "late", "question", "sent")

    def __init__(self, question: Q, answer: asyncio.Future[A], at: float) -> None:
        self.question = question
        self.answer = answer
        """Cancelled before the question is sent, it takes the question back."""
        self.at = at
        self.sent = False
        self.late: asyncio.Future[A] | None = None

    def again(self) -> asyncio.Future[A]:
        """Where to await the answer to a question that was sent, after the first wait for it was cancelled."""
        if self.answer.cancelled():
            self.answer = self.late or self.answer.get_loop().create_future()
        return self.answer

    def settle(self, answer: A) -> None:
        """Give the answer to who awaits it, or keep it for who may ask again."""
        self._open().set_result(answer)

    def refuse(self, error: Unavailable) -> None:
        """Raise ``error`` where the answer is awaited; for each its own, as each grows its own traceback."""
        own = type(error)(error.detail, origin=error.origin, mend=error.mend)
        own.__cause__ = error.__cause__
        self.fail(own)

    def fail(self, error: BaseException) -> None:
        """Raise ``error`` where the answer is awaited."""
        answer = self._open()
        answer.set_exception(error)
        if answer is self.late:
            answer.exception()  # nobody need ask for it

    def _open(self) -> asyncio.Future[A]:
        """Its caller may just have been cancelled, and not know it yet."""
        if not self.answer.done():
            return self.answer
        self.late = self.answer.get_loop().create_future()
        return self.late


class Batches(Generic[Q, A]):
    """Gathers the questions of one turn of the event loop and hands them to ``send``, which answers them in order.

    A caller that is cancelled takes its own question along and no other. An error of ``send`` reaches all whose
    questions were in that batch, and those who have waited for ``patience`` seconds meanwhile: what does not answer
    the first would not answer them.

    :param most: questions in one batch; it bounds for how long the server is busy with one.
    """

    def __init__(self, send: Callable[[list[Q]], Awaitable[Sequence[A]]], *, most: int, patience: float) -> None:
        self._send = send
        self._most = most
        self._patience = patience
        self._waiting: deque[Asked[Q, A]] = deque()
        self._carriers: set[asyncio.Task[None]] = set()
        self._called = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def ask(self, question: Q) -> Asked[Q, A]:
        """Put a question into the next batch. Await its ``answer``."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()  # once: it asks the system for the process's number
        asked: Asked[Q, A] = Asked(question, loop.create_future(), loop.time())
        self._waiting.append(asked)
        if not self._called and len(self._carriers) < CARRIERS:
            self._called = True
            loop.call_soon(self._depart)
        return asked

    async def aclose(self) -> None:
        """Refuse what has not been sent, and wait for what has been."""
        while self._waiting:
            self._waiting.popleft().refuse(AdapterClosed("the adapter was closed before this was sent"))
        if self._carriers:
            await asyncio.wait(self._carriers)
        self._loop = None

    def _depart(self) -> None:
        self._called = False
        if self._waiting:
            carrier = asyncio.get_running_loop().create_task(self._carry())
            self._carriers.add(carrier)
            carrier.add_done_callback(self._back)

    def _back(self, carrier: asyncio.Task[None]) -> None:
        self._carriers.discard(carrier)
        if self._waiting and not self._called:
            self._depart()

    async def _carry(self) -> None:
        while batch := self._next():
            try:
                answers = await self._send([asked.question for asked in batch])
            except Unavailable as error:
                self._fail(batch, error)
            except asyncio.CancelledError:
                for asked in batch:  # the loop ends
                    asked.answer.cancel()
                raise
            except BaseException as error:
                for asked in batch:  # a defect: nobody may be left waiting for it
                    asked.fail(error)
                raise
            else:
                for asked, answer in zip(batch, answers, strict=True):
                    asked.settle(answer)

    def _next(self) -> list[Asked[Q, A]]:
        """The next batch, without those whose callers have gone."""
        waiting, batch = self._waiting, list[Asked[Q, A]]()
        while waiting and len(batch) < self._most:
            asked = waiting.popleft()
            if not asked.answer.done():
                asked.sent = True
                batch.append(asked)
        return batch

    def _fail(self, batch: list[Asked[Q, A]], error: Unavailable) -> None:
        for asked in batch:
            asked.refuse(error)
        overdue = asyncio.get_running_loop().time() - self._patience
        while self._waiting and self._waiting[0].at <= overdue:
            self._waiting.popleft().refuse(error)
