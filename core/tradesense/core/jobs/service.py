"""The jobs that this deployment knows: queued ones by name, periodic ones by interval."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import msgspec

from tradesense.core.ambient import Clock, Ids
from tradesense.core.errors import ConfigurationError, UnknownJob
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.ports import JobHandler, JobQueue
from tradesense.core.telemetry.instruments import JOB_DURATION
from tradesense.core.telemetry.ports import Telemetry


class Periodic(msgspec.Struct, frozen=True, kw_only=True):
    """Something done again and again, by one process at a time."""

    name: str
    every: float
    """Seconds between two runs."""
    run: Callable[[], Awaitable[object]]


class Jobs:
    """Enqueues jobs and knows who does them."""

    def __init__(self, *, queue: JobQueue, ids: Ids, clock: Clock, telemetry: Telemetry) -> None:
        self._queue = queue
        self._ids = ids
        self._clock = clock
        self._telemetry = telemetry
        self._handlers: dict[str, JobHandler] = {}
        self._periodic: dict[str, Periodic] = {}

    def on(self, name: str, handler: JobHandler) -> None:
        """Let ``handler`` do the jobs called ``name``.

        :raises ConfigurationError: the name is taken.
        """
        if name in self._handlers:
            raise ConfigurationError(f"two handlers for the job {name!r}")
        self._handlers[name] = handler

    def every(self, periodic: Periodic) -> None:
        """Add a periodic job.

        :raises ConfigurationError: the name is taken.
        """
        if periodic.name in self._periodic:
            raise ConfigurationError(f"two periodic jobs are called {periodic.name!r}")
        self._periodic[periodic.name] = periodic

    @property
    def names(self) -> tuple[str, ...]:
        """The queued jobs that have a handler."""
        return tuple(sorted(self._handlers))

    @property
    def periodic(self) -> Iterable[Periodic]:
        """The periodic jobs."""
        return self._periodic.values()

    async def enqueue(self, name: str, payload: dict[str, object], *, key: str = "", traceparent: str = "") -> bool:
        """Queue a job; ``False`` when one with the same key was queued before.

        :raises JobQueueUnavailable: it was not taken.
        """
        job = Job(id=self._ids.new(), name=name, payload=payload, key=key, traceparent=traceparent)
        return await self._queue.enqueue(job)

    async def handle(self, job: Job) -> None:
        """Do one job.

        :raises UnknownJob: no handler has this name; the queue will try again, and a newer worker may know it.
        """
        handler = self._handlers.get(job.name)
        if handler is None:
            raise UnknownJob(f"no handler for the job {job.name!r}", mend="run a worker of the release that queued it")
        began = self._clock.monotonic()
        outcome = "failed"
        try:
            await handler(job)
            outcome = "succeeded"
        finally:
            self._telemetry.bind(JOB_DURATION, (job.name, outcome))(self._clock.monotonic() - began)

    async def work(self) -> None:
        """Do queued jobs until cancelled."""
        await self._queue.work(self.handle)
