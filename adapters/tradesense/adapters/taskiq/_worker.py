"""A worker: taskiq's receiver around a handler, and what becomes of each job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from taskiq.acks import AcknowledgeType
from taskiq.receiver import Receiver

from tradesense.adapters.taskiq._broker import JobBroker
from tradesense.adapters.taskiq._connection import FAILURES
from tradesense.adapters.taskiq._streams import Delivery
from tradesense.adapters.taskiq.settings import TaskiqSettings
from tradesense.core.ambient import Clock
from tradesense.core.jobs.models import MAX_ATTEMPTS, DeadJob, Job, digest, retry_pause
from tradesense.core.jobs.ports import JobHandler

TASK = "tradesense.job"
"""The one task that taskiq knows; its arguments are the envelope's task and the job as JSON."""
LOST = "WorkerLost"
"""The error of a job whose worker gave no sign of life, in the last attempt as well."""

_log = logging.getLogger(__name__)


class Worker:
    """Does jobs until it is cancelled. Each worker is run once."""

    def __init__(
        self, broker: JobBroker, handle: JobHandler, given_up: JobHandler, settings: TaskiqSettings, clock: Clock
    ) -> None:
        self._broker = broker
        self._handle = handle
        self._given_up = given_up
        self._settings = settings
        self._clock = clock
        self._attempts: set[asyncio.Task[None]] = set()
        """The running handlers."""
        self._settling: set[asyncio.Task[Any]] = set()
        """taskiq's tasks, each of which waits for a handler and settles its job."""
        self._stopping = False

        async def do(task: str, row: str) -> None:  # taskiq takes functions alone
            await self._do(task, row)

        broker.register_task(do, task_name=TASK)

    async def run(self) -> None:
        """Receive jobs; on cancellation let the running ones end, and give back those that do not."""
        receiver = Receiver(
            self._broker,
            validate_params=False,
            max_async_tasks=self._settings.job_concurrency,
            run_startup=False,
            ack_type=AcknowledgeType.MANUAL,
        )
        signs = asyncio.create_task(self._give_signs_of_life())
        try:
            await receiver.listen(asyncio.Event())
        finally:
            try:
                await self._end_attempts()
            finally:
                signs.cancel()
                await self._leave()

    async def _do(self, task: str, row: str) -> None:
        """What taskiq calls for each message."""
        delivery = self._broker.running.get(task)
        if delivery is None or self._stopping:
            return  # it is given back with all that was not begun
        settling = asyncio.current_task()
        if settling is not None:
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)
        try:
            await self._settle(delivery, row)
        except FAILURES as error:
            _log.warning("job %s was not settled (%s); it will be done again", task, type(error).__name__)
            self._broker.running.pop(task, None)

    async def _settle(self, delivery: Delivery, row: str) -> None:
        try:
            job = msgspec.json.decode(row, type=Job)
        except msgspec.DecodeError:
            _log.error("job %s cannot be read and is dropped", delivery.envelope.task)
            await self._broker.finish(delivery)
            return
        if delivery.envelope.failures >= MAX_ATTEMPTS:
            await self._bury(delivery, job, LOST)
            return
        error = await self._attempt(msgspec.structs.replace(job, attempt=delivery.envelope.failures + 1))
        if error is None:
            await self._broker.finish(delivery, keys_of(job))
        elif not (self._stopping and isinstance(error, asyncio.CancelledError)):
            await self._failed(delivery, job, type(error).__name__)

    async def _attempt(self, job: Job) -> BaseException | None:
        """Run the handler in a task of its own, so that its end by cancellation is one outcome among others."""

        async def attempt() -> None:
            await self._handle(job)

        task = asyncio.create_task(attempt(), name=f"job {job.name}")
        self._attempts.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._attempts.discard(task)
        return asyncio.CancelledError() if task.cancelled() else task.exception()

    async def _failed(self, delivery: Delivery, job: Job, error: str) -> None:
        failures = delivery.envelope.failures + 1
        _log.warning("job %s (%s) failed in attempt %d: %s", job.name, job.id, failures, error)
        if failures >= MAX_ATTEMPTS:
            await self._bury(delivery, job, error)
            return
        again = msgspec.structs.replace(delivery.envelope, failures=failures)
        pause = retry_pause(job, failures, first=self._settings.job_retry_seconds)
        await self._broker.streams.retry(self._broker.worker, delivery.id, again, int(pause * 1000))
        self._broker.running.pop(again.task, None)

    async def _bury(self, delivery: Delivery, job: Job, error: str) -> None:
        await self._given_up(job)
        dead = DeadJob(job=job, error=error, failed_at=self._clock.now())
        await self._broker.streams.bury(self._broker.worker, delivery.id, dead, keys_of(job))
        self._broker.running.pop(delivery.envelope.task, None)

    async def _give_signs_of_life(self) -> None:
        while True:
            await asyncio.sleep(self._settings.job_idle_seconds / 3)
            ids = [one.id for one in self._broker.running.values()]
            if ids:
                with suppress(*FAILURES):  # the next sign may be in time still
                    await self._broker.streams.keep(self._broker.worker, ids)

    async def _end_attempts(self) -> None:
        self._stopping = True
        try:
            await _wait(self._attempts, self._settings.job_grace_seconds)
        finally:
            for task in self._attempts:
                task.cancel()
            await _wait(self._attempts | self._settling, self._settings.job_grace_seconds + self._settings.timeout)

    async def _leave(self) -> None:
        try:
            await self._broker.streams.leave(self._broker.worker)
        except FAILURES as error:
            _log.warning("jobs were not given back (%s); another worker takes them over", type(error).__name__)
        finally:
            await self._broker.shutdown()


def keys_of(job: Job) -> Sequence[str]:
    """What the queue may know the job by."""
    return tuple(digest(job.name, known_by).hex() for known_by in (job.key, job.id) if known_by)


async def _wait(tasks: Iterable[asyncio.Task[Any]], seconds: float) -> None:
    waiting = set(tasks)
    if waiting:
        await asyncio.wait(waiting, timeout=seconds)
