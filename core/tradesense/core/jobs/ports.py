"""Where jobs wait, and how they come to a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from tradesense.core.jobs.models import DeadJob, Job

JobHandler = Callable[[Job], Awaitable[None]]


async def nobody(_: Job) -> None:
    """Who need not know which jobs are given up."""


class JobQueue(Protocol):
    """At-least-once delivery: a job is handed out again until a handler returned normally, five times at most.

    Every method may raise :class:`JobQueueUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def enqueue(self, job: Job, *, once: str = "") -> bool:
        """Take the job; ``False`` when one of the same name with the same non-empty key was taken (``DEDUPLICATION``).

        A key is known while its job waits or is being done, and for a day after; that of a dead job is free again.

        :param once: what the job is known by in place of its key. Who hands over again and again what may have been
            lost uses the id.
        """
        ...

    async def work(self, handle: JobHandler, given_up: JobHandler = nobody) -> None:
        """Hand jobs to ``handle``, several at once, until cancelled; then no new one is begun.

        A handler that raises gets its job again after a pause; after the fifth failure the job is dead.

        :param given_up: is awaited for each job that is about to be dead; it may be so more than once. It raises
            nothing.
        """
        ...

    async def depth(self) -> int:
        """How many jobs wait or are being done."""
        ...

    async def dead(self) -> Sequence[DeadJob]:
        """The jobs that failed in every attempt, oldest first, the last 1000 at most."""
        ...

    async def drop(self, ids: Sequence[str]) -> int:
        """These jobs are no longer among the dead; returns how many were. Ids that are unknown are passed over."""
        ...


class Outbox(Protocol):
    """Jobs that are written down where their cause is, until the queue has them, or until they are done.

    A relay takes a few and hands each on. One that dies in between holds up what it took, and nothing else, until its
    hold ends; the job is then taken again, and it is the queue that knows it.

    Every method may raise :class:`JobQueueUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def add(self, job: Job) -> bool:
        """Keep the job, in this task's transaction (``TRANSACTIONAL``) or by itself.

        ``False`` when one of the same name with the same non-empty key was added before and the key is not forgotten
        yet, or when one of this id is not done. Of concurrent ones, one is kept; who comes second may wait until the
        other's transaction has ended.

        :raises InvalidInput: the payload is not JSON, or the job has more than 256 KiB.
        """
        ...

    async def take(self, limit: int, hold: float) -> Sequence[Job]:
        """Up to ``limit`` jobs (1 to 1000) that nobody holds, oldest first; for ``hold`` seconds nobody else gets them.

        It never joins a transaction, and sees only what was committed.
        """
        ...

    async def done(self, ids: Sequence[str], *, free: bool = False) -> None:
        """These jobs are never taken again. Ids that are unknown are passed over.

        :param free: whether their keys are forgotten as well, so that jobs with them can be added at once.
        """
        ...

    async def give_back(self, ids: Sequence[str], *, after: float = 0) -> None:
        """Nobody holds these jobs any more, or nobody will ``after`` so many seconds. Unknown ids are passed over."""
        ...

    async def waiting(self) -> int:
        """How many jobs are not done, held ones included."""
        ...

    async def forget(self, age: float) -> int:
        """Forget the keys that were added over ``age`` seconds ago and whose jobs are done; returns how many."""
        ...
