"""A job is enqueued in the transaction that causes it, and handed to the queue soon after."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

import contracted
from tradesense.adapters.memory.telemetry import MemoryTelemetry
from tradesense.core.acting import as_system
from tradesense.core.audit.models import Actor
from tradesense.core.errors import AuditUnavailable, JobQueueUnavailable
from tradesense.core.jobs import JobQueue, Outbox
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.relay import Relay
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.cause import CAUSE
from tradesense.core.telemetry.models import TraceContext
from tradesense.core.telemetry.service import FanOut
from tradesense.core.testing import eventually
from tradesense.entrypoints.worker.outcomes import log_outcome

SOMEBODY = Actor(kind="anonymous")
PASSWORD = Secret("correct horse battery staple")


@asynccontextmanager
async def beside(*works):
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_sign_up_and_its_mail_are_one_transaction(platform, monkeypatch):
    log = platform.trail._log
    outbox = platform.jobs._outbox

    async def refuse(_):
        raise AuditUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(log, "append", refuse)
        with pytest.raises(AuditUnavailable):
            await platform.accounts.register("ada@example.org", PASSWORD, actor=SOMEBODY)
    assert await outbox.waiting() == 0, "no account, no mail"
    await platform.accounts.register("ada@example.org", PASSWORD, actor=SOMEBODY)
    await platform.accounts.register("ada@example.org", PASSWORD, actor=SOMEBODY)
    job, other = await outbox.take(10, 60)
    assert (job.name, job.key) == ("identity.welcome", f"identity.welcome:{job.payload['user_id']}")
    assert other.payload == {"occasion": "already-registered", "email_key": "ada@example.org"}


async def test_a_queue_that_is_away_does_not_matter_to_who_enqueues(platform, monkeypatch):
    queue = platform.jobs._queue
    away = True
    real = queue.enqueue

    async def enqueue(job):
        if away:
            raise JobQueueUnavailable
        return await real(job)

    done = []

    @as_system()
    async def handle(job):
        done.append(job)

    platform.jobs.on("test.work", handle)
    monkeypatch.setattr(queue, "enqueue", enqueue)
    async with beside(platform.relay.run(), platform.jobs.work()):
        assert await platform.jobs.enqueue("test.work", {"n": 1}) is True
        await asyncio.sleep(0)
        assert await platform.jobs._outbox.waiting() == 1
        away = False

        async def all_done():
            return done

        (job,) = await eventually(all_done, seconds=10)
    assert job.payload == {"n": 1}
    assert await platform.jobs._outbox.waiting() == 0


async def test_the_relay_is_woken_by_the_commit_and_not_by_the_roll_back(platform, monkeypatch):
    monkeypatch.setattr("tradesense.core.jobs.relay.POLL_SECONDS", 3600)
    began, go, done = asyncio.Event(), asyncio.Event(), []

    @as_system()
    async def handle(job):
        done.append(job.payload["n"])

    platform.jobs.on("test.work", handle)

    async def change(number, *, fails):
        async with platform.transactions.begin():
            await platform.jobs.enqueue("test.work", {"n": number})
            began.set()
            await go.wait()
            if fails:
                raise ZeroDivisionError

    async with beside(platform.relay.run(), platform.jobs.work()):
        for number, fails in ((1, True), (2, False)):
            began.clear()
            go.clear()
            task = asyncio.create_task(change(number, fails=fails))
            await began.wait()
            for _ in range(20):
                await asyncio.sleep(0)
            assert done == []
            go.set()
            await asyncio.wait([task])
            assert (task.exception() is not None) is fails

        async def second():
            return done

        assert await eventually(second, seconds=5) == [2]


async def test_a_relay_that_died_after_it_handed_a_job_on_causes_no_second_one():
    lent = contracted.context()
    telemetry = FanOut(metrics=(), traces=())
    async with (
        contracted.build(contracted.manifest("memory", Outbox), lent) as outbox,
        contracted.build(contracted.manifest("memory", JobQueue), lent) as queue,
    ):
        await outbox.add(Job(id="1", name="keyless"))
        await outbox.add(Job(id="2", name="keyed", key="k"))
        for job in await outbox.take(10, 0.0):
            await queue.enqueue(job if job.key else Job(id=job.id, name=job.name, key=job.id))
        # here it died, and never said that this was done
        assert await Relay(outbox=outbox, queue=queue, telemetry=telemetry).turn() == 2
        assert await queue.depth() == 2
        assert await outbox.waiting() == 0


async def test_the_trace_and_the_correlation_id_go_on_into_the_job(platform, monkeypatch):
    telemetry = MemoryTelemetry(clock=platform.clock)
    monkeypatch.setattr(platform.jobs, "_telemetry", FanOut(metrics=(telemetry,), traces=(telemetry,)))
    cause = TraceContext("a" * 32, "b" * 16, sampled=True)
    seen = []

    @as_system()
    async def handle(job):
        seen.append((CAUSE.get(), job.attempt))
        raise ZeroDivisionError

    platform.jobs.on("test.fails", handle)
    token = CAUSE.set(("request-7", cause))
    await platform.jobs.enqueue("test.fails", {})
    CAUSE.reset(token)
    (job,) = await platform.jobs._outbox.take(1, 60)
    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        await platform.jobs.handle(job, log_outcome)
    (((correlation, trace), attempt),) = seen
    assert (correlation, trace.trace_id, attempt) == ("request-7", cause.trace_id, 1)
    assert trace.span_id != cause.span_id
    (span,) = telemetry.spans
    assert (span.name, span.context, span.parent) == ("job test.fails", trace, cause)
    assert span.error == "ZeroDivisionError"
    (line,) = logs
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "job",
        "log_level": "warning",
        "job": "test.fails",
        "job_id": job.id,
        "attempt": 1,
        "outcome": "failed",
        "error": "ZeroDivisionError",
    }
    assert CAUSE.get() == ("", None)
