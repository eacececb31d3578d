"""The jobs that this deployment knows: queued ones by name, periodic ones by interval or by the calendar."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec

from tradesense.core.acting import Acting, Who, acting, declared
from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.errors import ConfigurationError, UnknownJob
from tradesense.core.jobs import cron
from tradesense.core.jobs.models import DeadJob, Job
from tradesense.core.jobs.ports import JobHandler, JobQueue, Outbox
from tradesense.core.jobs.relay import Relay
from tradesense.core.telemetry.cause import CAUSE
from tradesense.core.telemetry.instruments import JOB_DURATION
from tradesense.core.telemetry.models import TraceContext
from tradesense.core.telemetry.ports import AttributeValue, Telemetry
from tradesense.core.transactions import Transactions

TRACE_BYTES, SPAN_BYTES = 16, 8


class Periodic(msgspec.Struct, frozen=True, kw_only=True):
    """Something done again and again, by one process at a time. It has an interval, or a cron expression."""

    name: str
    run: Callable[[], Awaitable[object]]
    every: float = 0.0
    """Seconds between two runs."""
    cron: str = ""
    """Minute, hour, day of the month, month and day of the week, in UTC, as in ``30 4 * * mon-fri``."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt at a job ended."""

    job: Job
    seconds: float
    error: str = ""
    """The class of the error; empty when the job is done."""

    @property
    def word(self) -> str:
        """``succeeded`` or ``failed``."""
        return "failed" if self.error else "succeeded"


Report = Callable[[Outcome], None]


class Jobs:
    """Enqueues jobs and knows who does them."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        outbox: Outbox,
        relay: Relay,
        transactions: Transactions,
        ids: Ids,
        random: Random,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._queue = queue
        self._outbox = outbox
        self._relay = relay
        self._transactions = transactions
        self._ids = ids
        self._random = random
        self._clock = clock
        self._telemetry = telemetry
        self._handlers: dict[str, JobHandler] = {}
        self._periodic: dict[str, Periodic] = {}
        self._guards: dict[str, Acting] = {}

    def on(self, name: str, handler: JobHandler) -> None:
        """Let ``handler`` do the jobs called ``name``.

        :raises ConfigurationError: the name is taken, or the handler does not declare who acts in it.
        """
        if name in self._handlers:
            raise ConfigurationError(f"two handlers for the job {name!r}")
        self._guards[name] = declared(handler, f"the handler of the job {name!r}", who=Who.SYSTEM)
        self._handlers[name] = handler

    def every(self, periodic: Periodic) -> None:
        """Add a periodic job.

        :raises ConfigurationError: the name is taken, or it does not say when to run, or who acts in it.
        """
        if periodic.name in self._periodic:
            raise ConfigurationError(f"two periodic jobs are called {periodic.name!r}")
        if (periodic.every > 0) is bool(periodic.cron):
            raise ConfigurationError(
                f"the periodic job {periodic.name!r} needs an interval or a cron expression, and not both"
            )
        if periodic.cron:
            cron.check(periodic.cron)
        self._guards[periodic.name] = declared(periodic.run, f"the periodic job {periodic.name!r}", who=Who.SYSTEM)
        self._periodic[periodic.name] = periodic

    @property
    def names(self) -> tuple[str, ...]:
        """The queued jobs that have a handler."""
        return tuple(sorted(self._handlers))

    @property
    def guards(self) -> Mapping[str, Acting]:
        """What each queued and each periodic job declares, by its name."""
        return self._guards

    @property
    def periodic(self) -> Iterable[Periodic]:
        """The periodic jobs."""
        return self._periodic.values()

    async def enqueue(self, name: str, payload: dict[str, object], *, key: str = "") -> bool:
        """Let a job be done once this task's transaction has committed, or from now on where there is none.

        A job that is caused by a change is enqueued in the transaction of the change: then there is the one exactly if
        there is the other. The queue need not be there. The job goes on with the trace and the correlation id of this
        task.

        :return: ``False`` when a job of the same name and key was enqueued within a day, and is not dead.
        :raises InvalidInput: the payload is not JSON, or the job has more than 256 KiB.
        :raises JobQueueUnavailable: it was not taken.
        """
        correlation, trace = CAUSE.get()
        job = Job(
            id=self._ids.new(),
            name=name,
            payload=payload,
            key=key,
            traceparent=trace.traceparent() if trace else "",
            correlation_id=correlation,
        )
        taken = await self._outbox.add(job)
        if taken:
            self._transactions.after_commit(self._relay.wake)
        return taken

    async def dead(self) -> Sequence[DeadJob]:
        """The jobs that failed in every attempt, oldest first, the last 1000 at most.

        :raises JobQueueUnavailable: the queue did not answer.
        """
        return await self._queue.dead()

    async def redo(self, job: Job) -> bool:
        """Let a dead job be done as if for the first time, once this task's transaction has committed.

        It has its id still, by which its handler may know what it has done. Drop it from the dead afterwards: who dies
        in between leaves it there, and asks for it in vain as long as it is not done.

        :return: ``False`` when it is about to be done already, or another job with its key was enqueued since.
        :raises JobQueueUnavailable: it was not taken.
        """
        taken = await self._outbox.add(job)
        if taken:
            self._transactions.after_commit(self._relay.wake)
        return taken

    async def drop(self, ids: Sequence[str]) -> int:
        """Remove jobs from the dead, for good; returns how many of them were there.

        :raises JobQueueUnavailable: the queue did not answer.
        """
        return await self._queue.drop(ids)

    async def handle(self, job: Job, report: Report = lambda _: None) -> None:
        """Do one job, in a span below that of its cause, and report how it went.

        :raises UnknownJob: no handler has this name; the queue will try again, and a newer worker may know it.
        """
        parent = TraceContext.parse(job.traceparent)
        trace = self._trace(parent)
        token = CAUSE.set((job.correlation_id or trace.trace_id, trace))
        began = self._clock.monotonic()
        failure = "CancelledError"
        try:
            with self._span(job, trace, parent):
                await self._do(job)
            failure = ""
        except Exception as error:
            failure = type(error).__name__
            raise
        else:
            await self._relay.finished(job)
        finally:
            outcome = Outcome(job=job, seconds=self._clock.monotonic() - began, error=failure)
            self._telemetry.bind(JOB_DURATION, (job.name, outcome.word))(outcome.seconds)
            report(outcome)
            CAUSE.reset(token)

    async def work(self, report: Report = lambda _: None) -> None:
        """Do queued jobs until cancelled; ``report`` is told of every attempt."""

        async def handle(job: Job) -> None:
            await self.handle(job, report)

        await self._queue.work(handle, self._relay.given_up)

    async def _do(self, job: Job) -> None:
        handler = self._handlers.get(job.name)
        if handler is None:
            raise UnknownJob(f"no handler for the job {job.name!r}", mend="run a worker of the release that queued it")
        with acting(self._guards[job.name]):
            await handler(job)

    def _span(self, job: Job, trace: TraceContext, parent: TraceContext | None) -> AbstractContextManager[object]:
        if not trace.sampled:
            return nullcontext()
        attributes: dict[str, AttributeValue] = {
            "messaging.operation.name": "process",
            "messaging.message.id": job.id,
            "tradesense.job.attempt": job.attempt,
        }
        return self._telemetry.span(f"job {job.name}", trace, parent=parent, attributes=attributes)

    def _trace(self, parent: TraceContext | None) -> TraceContext:
        span = self._random.bytes(SPAN_BYTES).hex()
        if parent is None:
            return TraceContext(self._random.bytes(TRACE_BYTES).hex(), span, sampled=False)
        return TraceContext(parent.trace_id, span, parent.sampled)
