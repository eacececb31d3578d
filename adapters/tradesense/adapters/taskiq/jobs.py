"""The job queue on Redis streams."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

from taskiq.message import TaskiqMessage

from tradesense.adapters.taskiq._broker import JobBroker
from tradesense.adapters.taskiq._connection import Client, Translated, address, client
from tradesense.adapters.taskiq._streams import Envelope, Streams
from tradesense.adapters.taskiq._worker import TASK, Worker
from tradesense.adapters.taskiq.settings import TaskiqSettings
from tradesense.core.ambient import Clock, Ids
from tradesense.core.errors import AdapterClosed, Unavailable
from tradesense.core.jobs.models import DeadJob, Job, digest, encode
from tradesense.core.jobs.ports import JobHandler, JobQueue, nobody
from tradesense.core.telemetry.models import Health, Status
from tradesense.plugins import AdapterContext


class TaskiqJobs:
    """See :class:`JobQueue`. A job's key is remembered for a day after it was done.

    A job is acknowledged when its handler has returned. When a worker dies, another takes its jobs over once they
    gave no sign of life for ``job_idle_seconds``, one at a time, as one of them may be why it died; a worker that is
    stopped gives them back at once. What the server loses when it is killed, its own persistence decides.
    """

    def __init__(self, settings: TaskiqSettings, *, clock: Clock, ids: Ids) -> None:
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._translated = Translated(address(settings))
        self._redis: Client = None
        self._opened: JobBroker | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        :raises JobQueueUnavailable: the server does not answer, or refuses the password.
        """
        redis = client(self._settings)
        try:
            with self._translated:
                async with asyncio.timeout(self._settings.timeout):
                    await redis.ping()
        except BaseException:
            await redis.aclose()
            raise
        self._redis = redis
        self._opened = self._new_broker()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._opened is not None:
            broker, self._opened = self._opened, None
            await broker.shutdown()
            await self._redis.aclose()

    async def enqueue(self, job: Job, *, once: str = "") -> bool:
        """See :meth:`JobQueue.enqueue`.

        :raises InvalidInput: the payload is not JSON.
        """
        broker = self._broker
        row = encode(job).decode()
        known_by = once or job.key
        task = self._ids.new()
        message = broker.formatter.dumps(
            TaskiqMessage(task_id=task, task_name=TASK, labels={}, args=[task, row], kwargs={})
        )
        with self._translated:
            key = digest(job.name, known_by).hex() if known_by else ""
            return await broker.streams.offer(Envelope(task, 0, message.message), key)

    async def work(self, handle: JobHandler, given_up: JobHandler = nobody) -> None:
        """See :meth:`JobQueue.work`. While the server is away it waits for it."""
        self._broker  # noqa: B018  # raises when it is closed
        await Worker(self._new_broker(), handle, given_up, self._settings, self._clock).run()

    async def depth(self) -> int:
        """See :meth:`JobQueue.depth`."""
        broker = self._broker
        with self._translated:
            return await broker.streams.depth()

    async def dead(self) -> Sequence[DeadJob]:
        """See :meth:`JobQueue.dead`."""
        broker = self._broker
        with self._translated:
            return await broker.streams.dead()

    async def drop(self, ids: Sequence[str]) -> int:
        """See :meth:`JobQueue.drop`."""
        broker = self._broker
        with self._translated:
            return await broker.streams.drop(frozenset(ids))

    @property
    def _broker(self) -> JobBroker:
        if self._opened is None:
            raise AdapterClosed("TaskiqJobs is not open")
        return self._opened

    def _new_broker(self) -> JobBroker:
        return JobBroker(
            self._settings, Streams(self._redis, self._settings.prefix, self._settings.timeout), self._ids.new()
        )


class JobsHealth:
    """Asks the server how many jobs there are."""

    name = "jobs"
    essential = False

    def __init__(self, jobs: TaskiqJobs) -> None:
        self._jobs = jobs

    async def check(self) -> Health:
        """One round trip, within the connection's timeout."""
        try:
            depth = await self._jobs.depth()
        except Unavailable as error:
            return Health(name=self.name, status=Status.DOWN, detail=error.detail)
        return Health(name=self.name, status=Status.UP, detail=f"{depth} wait or are being done")


def queue(settings: TaskiqSettings, context: AdapterContext) -> TaskiqJobs:
    """The factory."""
    jobs = TaskiqJobs(settings, clock=context.clock, ids=context.ids)
    context.watch(JobsHealth(jobs))
    return jobs


_: type[JobQueue] = TaskiqJobs
