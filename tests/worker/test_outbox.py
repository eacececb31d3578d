"""A job is enqueued in the transaction that causes it, and handed to the queue soon after."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing, suppress

import pytest
from structlog.testing import capture_logs

import contracted
import sqldatabases
from tradesense.adapters.memory._outbox import MemoryOutbox
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.jobs import MemoryJobs
from tradesense.adapters.memory.telemetry import MemoryTelemetry
from tradesense.adapters.system.ambient import SystemClock
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


class FullLog:
    """An audit log that takes nothing more."""

    async def append(self, entry):  # noqa: ARG002  # the port's
        raise AuditUnavailable


class Away:
    """A queue whose server is away while ``away`` is set."""

    def __init__(self, port):
        self._port = port
        self.away = True
        self.work, self.depth, self.dead = port.work, port.depth, port.dead

    async def enqueue(self, job, *, once=""):
        if self.away:
            raise JobQueueUnavailable
        return await self._port.enqueue(job, once=once)


class Forgetful(MemoryOutbox):
    """An outbox that cannot be told that something is done while ``away`` is set."""

    away = False

    async def done(self, ids, *, free=False):
        if self.away:
            raise JobQueueUnavailable
        await super().done(ids, free=free)


async def test_a_sign_up_and_its_mail_are_one_transaction(platform):
    outbox, log = platform.jobs._outbox, platform.trail._log
    platform.trail._log = FullLog()
    with pytest.raises(AuditUnavailable):
        await platform.accounts.register("ada@example.org", PASSWORD, actor=SOMEBODY)
    platform.trail._log = log
    assert await outbox.waiting() == 0, "no account, no mail"
    await platform.accounts.register("ada@example.org", PASSWORD, actor=SOMEBODY)
    await platform.accounts.register("ada@example.org", PASSWORD, actor=SOMEBODY)
    job, other = await outbox.take(10, 60)
    assert (job.name, job.key) == ("identity.welcome", f"identity.welcome:{job.payload['user_id']}")
    assert other.payload == {"occasion": "already-registered", "email_key": "ada@example.org"}


async def test_a_queue_that_is_away_does_not_matter_to_who_enqueues(platform):
    queue = platform.relay._queue = Away(platform.relay._queue)
    done = []

    @as_system()
    async def handle(job):
        done.append(job)

    platform.jobs.on("test.work", handle)
    async with beside(platform.relay.run(), platform.jobs.work()):
        assert await platform.jobs.enqueue("test.work", {"n": 1}) is True
        await asyncio.sleep(0)
        assert await platform.jobs._outbox.waiting() == 1
        queue.away = False

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
            await queue.enqueue(job, once=job.id)
        # here it died, and never said that this was done
        assert await Relay(outbox=outbox, queue=queue, telemetry=telemetry).turn() == 2
        assert await queue.depth() == 2
        assert await outbox.waiting() == 0


@asynccontextmanager
async def relaying(queues=MemoryJobs, boxes=MemoryOutbox, **more):
    """A relay between a real outbox and a real queue, both of this process."""
    async with (
        boxes(MemoryState(), clock=SystemClock()) as box,
        queues(MemoryState(), clock=SystemClock()) as queue,
    ):
        yield Relay(outbox=box, queue=queue, telemetry=FanOut(metrics=(), traces=()), **more), box, queue


async def test_a_job_that_the_queue_does_not_take_holds_up_no_other():
    class Choosy(MemoryJobs):
        async def enqueue(self, job, *, once=""):
            if job.name == "poison":
                raise JobQueueUnavailable
            return await super().enqueue(job, once=once)

    told = []
    async with relaying(Choosy) as (relay, outbox, queue):
        for number, name in enumerate(["fine", "poison", "fine", "poison", "poison", "fine", "fine"]):
            await outbox.add(Job(id=str(number), name=name))
        assert await relay.turn(told.append) == 2, "two in a row: it could be away"
        assert await relay.turn(told.append) == 2
        assert (await queue.depth(), await outbox.waiting()) == (4, 3)
        with pytest.raises(JobQueueUnavailable):
            await relay.turn(told.append)
        await outbox.add(Job(id="last", name="fine"))
        assert await relay.turn(told.append) == 1
        assert (await queue.depth(), await outbox.waiting()) == (5, 3)
        assert len(told) == 3, "each is told of once"


async def test_a_job_that_the_queue_has_lost_is_handed_on_again_and_one_that_it_has_is_not():
    async with relaying(keeps=True, again=0.05) as (relay, outbox, queue):
        for number in (1, 2):
            await outbox.add(Job(id=str(number), name="test", key="same" * number))
        assert await relay.turn() == 2
        assert await relay.turn() == 0, "they are held"

        async def offered():
            return await relay.turn() == 2

        await eventually(offered, seconds=10)
        assert await queue.depth() == 2, "the queue knows them"
        async with MemoryJobs(MemoryState(), clock=SystemClock()) as empty:
            relay._queue = empty  # what a server is that was killed
            await eventually(offered, seconds=10)
            assert await empty.depth() == 2
        await relay.finished(Job(id="1", name="test"))
        await relay.given_up(Job(id="2", name="test"))
        assert await outbox.waiting() == 0
        assert await outbox.add(Job(id="3", name="test", key="same")) is False
        assert await outbox.add(Job(id="4", name="test", key="samesame")) is True, "nobody will do the other"


async def test_with_many_jobs_in_the_queue_they_are_handed_on_again_more_seldom(monkeypatch):
    monkeypatch.setattr("tradesense.core.jobs.relay.AGAIN_PER_SECOND", 0.01)
    async with relaying(keeps=True, again=0.0) as (relay, outbox, _):
        await outbox.add(Job(id="1", name="test"))
        assert await relay.turn() == 1
        assert await relay.turn() == 0


async def test_an_outbox_that_was_away_when_a_job_ended_is_told_later():
    async with relaying(boxes=Forgetful, keeps=True) as (relay, outbox, _):
        await outbox.add(Job(id="1", name="test"))
        await relay.turn()
        outbox.away = True
        await relay.finished(Job(id="1", name="test"))
        outbox.away = False
        assert await outbox.waiting() == 1
        await relay.turn()
        assert await outbox.waiting() == 0


@pytest.fixture
def database_url(tmp_path):
    return sqldatabases.sqlite_url(tmp_path)


async def test_a_row_that_cannot_be_read_holds_up_no_other_and_stays(database_url, caplog):
    async with sqldatabases.sql(Outbox, database_url) as outbox:
        await outbox.add(Job(id="before", name="test"))
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as database:
            database.execute("INSERT INTO outbox (id, job, held_until) VALUES ('later', '{\"id\": 7}', 0)")
            database.commit()
        await outbox.add(Job(id="after", name="test"))
        assert [job.id for job in await outbox.take(10, 60)] == ["before", "after"]
        assert "'later'" in caplog.text
        await outbox.done(["before", "after"])
        assert await outbox.waiting() == 1


async def test_jobs_that_a_killed_server_lost_are_done_once_it_is_back(own_valkey, database_url):
    done = []

    async def handle(job):
        done.append(job.id)
        await relay.finished(job)

    settings = {"url": Secret(own_valkey.server.url()), "timeout": 5.0}
    async with (
        sqldatabases.sql(Outbox, database_url) as outbox,
        contracted.build(contracted.manifest("taskiq", JobQueue), contracted.context(), **settings) as queue,
    ):
        relay = Relay(outbox=outbox, queue=queue, telemetry=FanOut(metrics=(), traces=()), keeps=True, again=0.1)
        for number in range(5):
            await outbox.add(Job(id=str(number), name="test", key=f"key-{number}"))
        assert await relay.turn() == 5
        own_valkey.kill()
        own_valkey.start()

        async def emptied():
            """It keeps nothing on a disk."""
            with suppress(JobQueueUnavailable):
                return await queue.depth() == 0

        await eventually(emptied, seconds=10)
        async with beside(relay.run(), queue.work(handle, relay.given_up)):

            async def nothing_left():
                return await outbox.waiting() + await queue.depth() == 0

            await eventually(nothing_left, seconds=20)
    assert sorted(done) == [str(number) for number in range(5)]


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
