"""Periodic jobs run once per interval, however many workers there are."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from tradesense.adapters.memory.telemetry import MemoryErrorReporter
from tradesense.core.acting import as_system
from tradesense.core.cache.models import Lease
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import ConfigurationError, InvalidInput
from tradesense.core.jobs.service import Periodic
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.worker.periodic import next_minute, periodic, turn
from tradesense.settings.load import load


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Always:
    """Gives every lease."""

    async def acquire(self, name: str, ttl: float, *, wait: float = 0) -> Lease:  # noqa: ARG002  # the port's
        return Lease(name=name, owner="o", token=1, ttl=ttl)

    async def renew(self, lease: Lease) -> bool:  # noqa: ARG002  # the port's
        return True


class Lost(Always):
    """Has given each lease to somebody else by the time that it is renewed."""

    async def renew(self, lease: Lease) -> bool:  # noqa: ARG002  # the port's
        return False


class Renewing:
    """Lets time pass before each renewal, and tells when there were many."""

    def __init__(self, locks: LockProvider, clock: Clock) -> None:
        self.acquire, self.release = locks.acquire, locks.release
        self.often = asyncio.Event()
        self._locks, self._clock, self._left = locks, clock, 8

    async def renew(self, lease: Lease) -> bool:
        self._clock.seconds += lease.ttl / 3
        self._left -= 1
        if not self._left:
            self.often.set()
        return await self._locks.renew(lease)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def services(clock, tmp_path):
    settings = load({"ENVIRONMENT": "testing"}, directory=tmp_path).settings
    async with open_container(settings, clock=clock) as opened:
        yield opened


async def test_a_turn_is_taken_once_per_interval(services, clock):
    runs = []

    @as_system()
    async def run() -> None:
        runs.append(clock.seconds)

    job = Periodic(name="test.count", every=10.0, run=run)
    await turn(services, job)
    await turn(services, job)  # as another worker would, within the same interval
    clock.seconds += 10.5
    await turn(services, job)
    assert runs == [1_000.0, 1_010.5]


async def test_a_job_that_fails_is_logged_and_tried_in_the_next_interval(services, clock):
    runs = []

    @as_system()
    async def run() -> None:
        runs.append(clock.seconds)
        raise InvalidInput("broken on purpose")

    job = Periodic(name="test.fails", every=10.0, run=run)
    with capture_logs() as logs:
        await turn(services, job)
        clock.seconds += 10.5
        await turn(services, job)
    assert len(runs) == 2
    assert [(line["outcome"], line["error"], line["detail"]) for line in logs] == [
        ("failed", "InvalidInput", "broken on purpose")
    ] * 2


@pytest.mark.parametrize("error", [KeyError("canary-1180"), asyncio.CancelledError()], ids=["error", "cancellation"])
async def test_whatever_a_job_raises_ends_neither_its_next_turn_nor_its_neighbour(services, error):
    reporter, runs, enough = MemoryErrorReporter(), [], asyncio.Event()

    @as_system()
    async def broken() -> None:
        runs.append("broken")
        raise error

    @as_system()
    async def healthy() -> None:
        runs.append("healthy")
        if runs.count("healthy") >= 3 and runs.count("broken") >= 3:
            enough.set()

    for run in (broken, healthy):
        services.jobs.every(Periodic(name=f"test.{run.__name__}", every=0.01, run=run))
    services = dataclasses.replace(services, errors=reporter, locks=Always())
    with capture_logs() as logs:
        task = asyncio.create_task(periodic(services))
        async with asyncio.timeout(10):
            await enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert {line["job"] for line in logs if line.get("outcome") == "failed"} == {"test.broken"}
    assert "canary" not in str(logs)
    assert all(told.context == {"job": "test.broken"} for told in reporter.reported)
    assert bool(reporter.reported) is isinstance(error, KeyError)


async def test_a_job_that_outlasts_its_interval_runs_in_one_process(services, clock):
    began, release, runs = asyncio.Event(), asyncio.Event(), []

    @as_system()
    async def run() -> None:
        runs.append(clock.seconds)
        began.set()
        await release.wait()

    job = Periodic(name="test.long", every=0.3, run=run)
    locks = Renewing(services.locks, clock)
    first = asyncio.create_task(turn(dataclasses.replace(services, locks=locks), job))
    async with asyncio.timeout(10):
        await began.wait()
        await locks.often.wait()
    assert clock.seconds > runs[0] + 2 * job.every
    await turn(services, job)  # as another worker would
    assert len(runs) == 1
    release.set()
    await first
    clock.seconds += 0.4
    await turn(services, job)
    assert len(runs) == 2


async def test_a_job_whose_lease_is_lost_is_stopped(services):
    ended = asyncio.Event()

    @as_system()
    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with capture_logs() as logs:
        await turn(dataclasses.replace(services, locks=Lost()), Periodic(name="test.lost", every=0.1, run=run))
    assert ended.is_set()
    assert "was lost" in logs[0]["detail"]


async def test_a_job_does_not_run_while_leases_are_away(own_valkey, clock, tmp_path):
    env = {
        "ENVIRONMENT": "testing",
        "TRADESENSE_CACHE__LOCKS": "redis",
        "TRADESENSE_REDIS__URL": own_valkey.server.url(0),
    }

    @as_system()
    async def run() -> None:
        raise AssertionError("it must not run without a lease")

    async with open_container(load(env, directory=tmp_path).settings, clock=clock) as services:
        own_valkey.kill()
        with capture_logs() as logs:
            await turn(services, Periodic(name="test.alone", every=10.0, run=run))
    assert [line["event"] for line in logs] == ["periodic job waits for leases"]


async def test_ended_sessions_are_swept(services):
    sweep = next(job for job in services.jobs.periodic if job.name == "identity.sweep")
    assert await sweep.run() == 0


class Sleepers:
    """Lets those who sleep wake one after the other, without waiting for it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._asleep: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._asleep.append((self.clock.seconds + seconds, woken))
        await woken.wait()

    async def until(self, seconds: float) -> None:
        while self.clock.seconds < seconds:
            for _ in range(30):
                await asyncio.sleep(0)
            self._asleep.sort(key=lambda sleeper: sleeper[0])
            self.clock.seconds, woken = self._asleep.pop(0)
            woken.set()


async def test_a_job_by_the_calendar_is_run_by_one_of_several_processes_when_its_minute_begins(
    services, clock, monkeypatch
):
    runs: list[datetime] = []

    @as_system()
    async def run() -> None:
        runs.append(clock.now())

    for name, expression in {"test.even": "*/2 * * * *", "test.never": "0 0 30 2 *"}.items():
        services.jobs.every(Periodic(name=name, cron=expression, run=run))
    sleepers = Sleepers(clock)
    monkeypatch.setattr(sys.modules[periodic.__module__], "sleep", sleepers.sleep)
    start = clock.now()
    processes = [asyncio.create_task(periodic(services)) for _ in range(3)]
    await sleepers.until(clock.seconds + 9 * 60)
    for task in processes:
        task.cancel()
    await asyncio.wait(processes)
    first = next_minute(start)
    due = [minute for n in range(9) if (minute := first + timedelta(minutes=n)).minute % 2 == 0]
    assert runs == due


class Kept:
    """Remembers the last lease that it gave."""

    def __init__(self, locks: LockProvider) -> None:
        self.renew, self.release, self._locks = locks.renew, locks.release, locks
        self.last: Lease

    async def acquire(self, name: str, ttl: float, *, wait: float = 0) -> Lease | None:
        lease = await self._locks.acquire(name, ttl, wait=wait)
        self.last = lease or self.last
        return lease


async def test_a_job_of_every_minute_that_takes_half_of_it_runs_every_minute(services, clock):
    runs, locks = [], Kept(services.locks)

    @as_system()
    async def run() -> None:
        runs.append(clock.now().minute)
        for _ in range(2):
            clock.seconds += 15
            assert await locks.renew(locks.last), "as is done while it runs"

    job = Periodic(name="test.slow", cron="* * * * *", run=run)
    services = dataclasses.replace(services, locks=locks)
    for _ in range(3):
        clock.seconds += 60 - clock.seconds % 60
        minute = clock.now().minute
        for _ in range(2):  # as another process would, whose clock is a little behind
            await turn(services, job, minute=minute)
    assert len(runs) == len(set(runs)) == 3


async def test_a_minute_that_begins_while_the_job_still_runs_is_passed_over(services, clock):
    runs, free = [], asyncio.Event()

    @as_system()
    async def run() -> None:
        runs.append(clock.now().minute)
        await free.wait()

    job = Periodic(name="test.longer", cron="* * * * *", run=run)
    first = asyncio.create_task(turn(services, job, minute=1))
    async with asyncio.timeout(10):
        while not runs:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0)
    with capture_logs() as logs:
        await turn(services, job, minute=2)  # as another process would
    assert [line["outcome"] for line in logs] == ["passed over"]
    free.set()
    await first
    await turn(services, job, minute=3)
    assert len(runs) == 2


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "5/2 * * * *",
        "* * * * mo",
        "*/0 * * * *",
        "9-5 * * * *",
        "a * * * *",
        "*  * * * *",
        "1,,2 * * * *",
        "* * * jan *",
    ],
)
async def test_a_cron_expression_that_means_nothing_is_refused(services, expression):
    with pytest.raises(ConfigurationError):
        services.jobs.every(Periodic(name="test.wrong", cron=expression, run=as_system()(lambda: None)))


@pytest.mark.parametrize("expression", ["* * * * *", "*/5 0-6/2 1,15 * mon-fri", "30 4 * 12 0", "0 0 31 1-6 sun,sat"])
async def test_a_cron_expression_is_taken(services, expression):
    services.jobs.every(Periodic(name="test.right", cron=expression, run=as_system()(lambda: None)))


async def test_a_periodic_job_says_once_when_it_runs(services):
    for wrong in ({}, {"every": 1.0, "cron": "* * * * *"}, {"every": -1.0}):
        with pytest.raises(ConfigurationError):
            services.jobs.every(Periodic(name="test.when", run=as_system()(lambda: None), **wrong))
