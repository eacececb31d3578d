"""A job queue within one process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence

import msgspec

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._outbox import MemoryOutbox
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.settings import MemoryJobsSettings
from tradesense.core.ambient import Clock
from tradesense.core.errors import JobQueueUnavailable
from tradesense.core.jobs.models import MAX_ATTEMPTS, DeadJob, Job, digest, encode, retry_pause
from tradesense.core.jobs.ports import JobHandler, JobQueue, nobody
from tradesense.plugins.manifest import AdapterContext, NoSettings

KEPT_DEAD = 1000
KEPT_KEYS = 100_000


class _Waiting(msgspec.Struct, frozen=True):
    """A job, encoded so that no attempt sees what another did to the payload, and how often it failed."""

    row: bytes
    failures: int = 0
    key: bytes = b""
    """What the job is known by."""

    def job(self) -> Job:
        """The job as it was enqueued."""
        return msgspec.json.decode(self.row, type=Job)

    def attempt(self) -> Job:
        """The job as its next attempt gets it."""
        return msgspec.structs.replace(self.job(), attempt=self.failures + 1)


class _Jobs:
    """The jobs of one backend."""

    def __init__(self, _: MemoryState) -> None:
        self.ready: asyncio.Queue[_Waiting] = asyncio.Queue()
        self.unfinished = 0
        self.keys: OrderedDict[bytes, None] = OrderedDict()
        self.dead: deque[DeadJob] = deque(maxlen=KEPT_DEAD)


class MemoryJobs(Lifecycle):
    """Jobs that end with the process. See :class:`JobQueue`.

    When the work is cancelled, jobs that are being done may go on for ``grace_seconds``; a second cancellation or
    the end of that time gives them back to the queue. A key is known until 100,000 others have come after it.
    """

    def __init__(self, state: MemoryState, *, clock: Clock, settings: MemoryJobsSettings | None = None) -> None:
        super().__init__()
        self._jobs = state.part(_Jobs)
        self._clock = clock
        self._settings = settings or MemoryJobsSettings()

    async def enqueue(self, job: Job, *, once: str = "") -> bool:
        """See :meth:`JobQueue.enqueue`.

        :raises InvalidInput: the payload is not JSON.
        """
        self.check_open()
        row = encode(job)
        known_by = once or job.key
        key = digest(job.name, known_by) if known_by else b""
        if key and key in self._jobs.keys:
            self._jobs.keys.move_to_end(key)
            return False
        if self._jobs.unfinished >= self._settings.max_waiting:
            raise JobQueueUnavailable(
                f"{self._jobs.unfinished} jobs wait already", origin="jobs.memory", mend="run a worker, or wait"
            )
        if key:
            self._jobs.keys[key] = None
            if len(self._jobs.keys) > KEPT_KEYS:
                self._jobs.keys.popitem(last=False)
        self._jobs.unfinished += 1
        self._jobs.ready.put_nowait(_Waiting(row, key=key))
        return True

    async def work(self, handle: JobHandler, given_up: JobHandler = nobody) -> None:
        """See :meth:`JobQueue.work`."""
        self.check_open()
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                while len(running) >= self._settings.concurrency:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                self._start(await self._jobs.ready.get(), handle, given_up, running)
        finally:
            await self._finish(running)

    async def depth(self) -> int:
        """See :meth:`JobQueue.depth`."""
        self.check_open()
        return self._jobs.unfinished

    async def dead(self) -> Sequence[DeadJob]:
        """See :meth:`JobQueue.dead`."""
        self.check_open()
        return tuple(self._jobs.dead)

    async def drop(self, ids: Sequence[str]) -> int:
        """See :meth:`JobQueue.drop`."""
        self.check_open()
        dropped = [dead for dead in self._jobs.dead if dead.job.id in ids]
        for dead in dropped:
            self._jobs.dead.remove(dead)
        return len(dropped)

    def _start(
        self, waiting: _Waiting, handle: JobHandler, given_up: JobHandler, running: set[asyncio.Task[None]]
    ) -> None:
        task = asyncio.create_task(self._do(waiting, handle, given_up))
        running.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            running.discard(task)
            if task.cancelled():  # even before its first step
                self._jobs.ready.put_nowait(waiting)

        task.add_done_callback(ended)

    async def _do(self, waiting: _Waiting, handle: JobHandler, given_up: JobHandler) -> None:
        try:
            await handle(waiting.attempt())
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await self._tell(waiting, given_up)
            self._failed(waiting, error)  # the handler raised it by itself
        except Exception as error:  # noqa: BLE001  # a handler may raise anything; each failure is one attempt
            await self._tell(waiting, given_up)
            self._failed(waiting, error)
        else:
            self._jobs.unfinished -= 1

    async def _tell(self, waiting: _Waiting, given_up: JobHandler) -> None:
        if waiting.failures + 1 >= MAX_ATTEMPTS:
            await given_up(waiting.job())

    def _failed(self, waiting: _Waiting, error: BaseException) -> None:
        failures = waiting.failures + 1
        if failures < MAX_ATTEMPTS:
            pause = retry_pause(waiting.job(), failures, first=self._settings.retry_seconds)
            again = _Waiting(waiting.row, failures, waiting.key)
            asyncio.get_running_loop().call_later(pause, self._jobs.ready.put_nowait, again)
            return
        dead = DeadJob(job=waiting.job(), error=type(error).__name__, failed_at=self._clock.now())
        self._jobs.dead.append(dead)
        self._jobs.keys.pop(waiting.key, None)
        self._jobs.unfinished -= 1

    async def _finish(self, running: set[asyncio.Task[None]]) -> None:
        """Let the running jobs end; give back those that do not."""
        try:
            if running:
                await asyncio.wait(running, timeout=self._settings.grace_seconds)
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running, timeout=self._settings.grace_seconds)


def queue(settings: MemoryJobsSettings, context: AdapterContext) -> MemoryJobs:
    """The factory."""
    return MemoryJobs(context.share(MemoryState, MemoryState), clock=context.clock, settings=settings)


def outbox(_: NoSettings, context: AdapterContext) -> MemoryOutbox:
    """The factory of the outbox."""
    return MemoryOutbox(context.share(MemoryState, MemoryState), clock=context.clock)


_: type[JobQueue] = MemoryJobs
