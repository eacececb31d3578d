"""Where jobs wait, and how they come to a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from tradesense.core.jobs.models import DeadJob, Job

JobHandler = Callable[[Job], Awaitable[None]]


class JobQueue(Protocol):
    """At-least-once delivery: a job is handed out again until a handler returned normally, five times at most.

    Every method may raise :class:`JobQueueUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def enqueue(self, job: Job) -> bool:
        """Take the job; ``False`` when one with the same non-empty key was taken before (``DEDUPLICATION``)."""
        ...

    async def work(self, handle: JobHandler) -> None:
        """Hand jobs to ``handle``, several at once, until cancelled; then no new one is begun.

        A handler that raises gets its job again after a pause; after the fifth failure the job is dead.
        """
        ...

    async def depth(self) -> int:
        """How many jobs wait or are being done."""
        ...

    async def dead(self) -> Sequence[DeadJob]:
        """The jobs that failed in every attempt, oldest first, the last 1000 at most."""
        ...


class Outbox(Protocol):
    """Jobs that are written down where their cause is, until a relay has handed them to the queue.

    A relay takes a few, hands each on and says :meth:`done`. One that dies in between holds up what it took, and
    nothing else, until its hold ends; the job is then taken again, and it is the queue that knows its key.

    Every method may raise :class:`JobQueueUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def add(self, job: Job) -> bool:
        """Keep the job, in this task's transaction (``TRANSACTIONAL``) or by itself.

        ``False`` when one with the same non-empty key was added before and the key is not forgotten yet. Of
        concurrent ones, one is kept; who comes second may wait until the other's transaction has ended.

        :raises InvalidInput: the payload is not JSON.
        """
        ...

    async def take(self, limit: int, hold: float) -> Sequence[Job]:
        """Up to ``limit`` jobs (1 to 1000) that nobody holds, oldest first; for ``hold`` seconds nobody else gets them.

        It never joins a transaction, and sees only what was committed.
        """
        ...

    async def done(self, ids: Sequence[str]) -> None:
        """These jobs are the queue's now; they are never taken again. Ids that are unknown are passed over."""
        ...

    async def give_back(self, ids: Sequence[str]) -> None:
        """Nobody holds these jobs any more. Ids that are unknown are passed over."""
        ...

    async def waiting(self) -> int:
        """How many jobs are not done, held ones included."""
        ...

    async def forget(self, age: float) -> int:
        """Forget the keys that were added over ``age`` seconds ago and whose jobs are done; returns how many."""
        ...
