"""Handing what the outbox holds to the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec.structs import replace

from tradesense.core.acting import as_system
from tradesense.core.errors import InvalidInput, JobQueueUnavailable, TradeSenseError
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.ports import JobQueue, Outbox
from tradesense.core.telemetry.instruments import JOBS_RELAYED
from tradesense.core.telemetry.ports import Telemetry

BATCH = 100
"""Jobs that are taken at once."""
HOLD_SECONDS = 30.0
"""How long a relay that died holds up what it took."""
POLL_SECONDS = 1.0
"""How long a job of a process without a relay waits at most, while the queue answers."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries while the outbox or the queue is away; doubled from a tenth of a second."""

FIRST_PAUSE = 0.1

KEY_SECONDS = 24 * 60 * 60.0
"""How long the outbox remembers a job's key; queues do the same."""

Tell = Callable[[TradeSenseError], None]


class Relay:
    """Moves jobs from the outbox to the queue. Any number of relays may run, in any number of processes.

    A job is handed on at least once, under its key, or under its id where it has none: a queue that knows keys
    (``DEDUPLICATION``) takes it once.

    A queue that does not outlive the process loses what it holds when the process is killed. Before such a one a job
    stays in the outbox, held, until a handler is done with it: whoever comes after the killed process takes it again.
    """

    def __init__(self, *, outbox: Outbox, queue: JobQueue, telemetry: Telemetry, lasting: bool = True) -> None:
        self._outbox = outbox
        self._queue = queue
        self._lasting = lasting
        self._taken = telemetry.bind(JOBS_RELAYED, ("taken",))
        self._known = telemetry.bind(JOBS_RELAYED, ("known",))
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at once: something was committed."""
        self._woken.set()

    async def run(self, tell: Tell = lambda _: None) -> None:
        """Relay until cancelled. While the outbox or the queue is away it tries again, ever more slowly.

        :param tell: is called once when one of them is away, and for each job that the queue refuses.
        """
        pause = FIRST_PAUSE
        while True:
            self._woken.clear()
            try:
                moved = await self.turn(tell)
            except JobQueueUnavailable as error:
                if pause == FIRST_PAUSE:
                    tell(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if moved < BATCH:
                await self._rest()

    @as_system()
    async def forget(self) -> int:
        """Forget the keys that are old enough; returns how many.

        :raises JobQueueUnavailable: the outbox did not answer.
        """
        return await self._outbox.forget(KEY_SECONDS)

    async def turn(self, tell: Tell = lambda _: None) -> int:
        """Hand on what the outbox gives at once; returns how many jobs that was.

        :raises JobQueueUnavailable: the outbox or the queue did not answer. What was not handed on was given back.
        """
        jobs = await self._outbox.take(BATCH, HOLD_SECONDS)
        over: dict[str, bool] = {}
        try:
            for job in jobs:
                over[job.id] = await self._hand_on(job, tell)
        finally:
            if jobs:
                await self._settle(jobs, over)
        return len(jobs)

    async def finished(self, job: Job) -> None:
        """A handler is done with the job, or it failed in every attempt."""
        if not self._lasting:
            with suppress(JobQueueUnavailable):  # then it is taken once more, and the queue knows its key
                await self._outbox.done([job.id])

    async def _hand_on(self, job: Job, tell: Tell) -> bool:
        """Whether the outbox may forget the job."""
        try:
            taken = await self._queue.enqueue(job if job.key else replace(job, key=job.id))
        except InvalidInput as error:
            tell(error)  # it would be refused for ever, and hold up those behind it
            return True
        (self._taken if taken else self._known)(1)
        return self._lasting

    async def _settle(self, jobs: Sequence[Job], over: dict[str, bool]) -> None:
        if done := [job_id for job_id, forget in over.items() if forget]:
            await self._outbox.done(done)
        if len(over) < len(jobs):
            await self._outbox.give_back([job.id for job in jobs[len(over) :]])

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return
