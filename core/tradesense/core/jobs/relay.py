"""Handing what the outbox holds to the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

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
AGAIN_SECONDS = 60.0
"""After how long a job that is not done is handed to the queue again, in case that the queue has lost it."""
AGAIN_PER_SECOND = 100
"""With more jobs than are handed on again at this rate, each comes later."""
COUNT_SECONDS = 30.0
"""How often the jobs are counted for that."""
IN_A_ROW = 2
"""Jobs which the queue does not take, one after the other, that end a turn: it may be away, and each try takes long."""

Tell = Callable[[TradeSenseError], None]


class Relay:
    """Moves jobs from the outbox to the queue. Any number of relays may run, in any number of processes.

    A job is handed on at least once, under its id: a queue that knows keys (``DEDUPLICATION``) takes it once.

    An outbox that outlives the processes **keeps** a job until a handler is done with it, or it is given up. Whatever
    becomes of the queue meanwhile, killed, emptied or replaced, it gets the job again after a minute, or as many
    seconds as there are hundreds of jobs where that is longer. One that has it still knows it by its id.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        queue: JobQueue,
        telemetry: Telemetry,
        keeps: bool = False,
        again: float = AGAIN_SECONDS,
    ) -> None:
        """One relay.

        :param keeps: whether a job stays in the outbox until it is done. Whoever does it must be able to say so there.
        :param again: seconds after which it is then handed on again.
        """
        self._outbox = outbox
        self._queue = queue
        self._keeps = keeps
        self._least = self._again = again
        self._count_at = 0.0
        self._taken = telemetry.bind(JOBS_RELAYED, ("taken",))
        self._known = telemetry.bind(JOBS_RELAYED, ("known",))
        self._woken = asyncio.Event()
        self._refused: frozenset[str] = frozenset()
        """What the queue did not take the last time; it comes after the others."""
        self._unsaid: dict[str, bool] = {}
        """Jobs that are over, and whether they were given up, which the outbox could not be told yet."""

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

        A job that the queue does not take holds up no other: it is tried again after them.

        :raises JobQueueUnavailable: the outbox did not answer, or the queue took nothing. What was not handed on was
            given back.
        """
        await self._say()
        jobs = await self._outbox.take(BATCH, HOLD_SECONDS)
        over: dict[str, bool] = {}
        try:
            await self._hand_on(sorted(jobs, key=lambda job: job.id in self._refused), over, tell)
        finally:
            if jobs:
                await self._settle(jobs, over)
        return len(over)

    async def finished(self, job: Job) -> None:
        """A handler is done with the job. Where the outbox cannot be told now, it is told later."""
        await self._end(job, given_up=False)

    async def given_up(self, job: Job) -> None:
        """The job failed in every attempt: nobody will do it, and its key is free."""
        await self._end(job, given_up=True)

    async def _hand_on(self, jobs: Sequence[Job], over: dict[str, bool], tell: Tell) -> None:
        """Fill ``over``: for each job that was handed on, whether the outbox may forget it."""
        refused, in_a_row = dict[str, JobQueueUnavailable](), 0
        for job in jobs:
            try:
                over[job.id] = await self._offer(job, tell)
                in_a_row = 0
            except JobQueueUnavailable as error:
                refused[job.id] = error
                in_a_row += 1
                if in_a_row == IN_A_ROW:
                    break
        before = self._refused
        self._refused = frozenset(job.id for job in jobs if job.id in before | refused.keys() and job.id not in over)
        for job_id, refusal in refused.items():
            if not over:
                raise refusal
            if job_id not in before:
                tell(refusal)

    async def _offer(self, job: Job, tell: Tell) -> bool:
        try:
            taken = await self._queue.enqueue(job, once=job.id)
        except InvalidInput as error:
            tell(error)  # it would be refused for ever
            return True
        (self._taken if taken else self._known)(1)
        return not self._keeps

    async def _settle(self, jobs: Sequence[Job], over: dict[str, bool]) -> None:
        if done := [job_id for job_id, forget in over.items() if forget]:
            await self._outbox.done(done)
        if kept := [job_id for job_id, forget in over.items() if not forget]:
            await self._outbox.give_back(kept, after=await self._until_again())
        if back := [job.id for job in jobs if job.id not in over]:
            await self._outbox.give_back(back)

    async def _until_again(self) -> float:
        now = asyncio.get_running_loop().time()
        if now >= self._count_at:
            self._count_at = now + COUNT_SECONDS
            self._again = max(self._least, await self._outbox.waiting() / AGAIN_PER_SECOND)
        return self._again

    async def _end(self, job: Job, *, given_up: bool) -> None:
        if self._keeps:
            try:
                await self._outbox.done([job.id], free=given_up)
            except JobQueueUnavailable:
                self._unsaid[job.id] = given_up  # the next turn says it

    async def _say(self) -> None:
        """Tell the outbox what is over, and could not be told before."""
        for given_up in (False, True):
            if ids := [job_id for job_id, lost in self._unsaid.items() if lost is given_up]:
                await self._outbox.done(ids, free=given_up)
                for job_id in ids:
                    self._unsaid.pop(job_id, None)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return
