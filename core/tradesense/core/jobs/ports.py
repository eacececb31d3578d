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
