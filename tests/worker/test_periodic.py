"""Periodic jobs run once per interval, however many workers there are."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from tradesense.adapters.memory.telemetry import MemoryErrorReporter
from tradesense.core.cache.models import Lease
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import InvalidInput
from tradesense.core.jobs.service import Periodic
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.worker.periodic import periodic, turn
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
        self.acquire = locks.acquire
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

    async def run() -> None:
        runs.append(clock.seconds)

    job = Periodic(name="test.count", every=10.0, run=run)
    await turn(services, job)
    await turn(services, job)  # as another worker would, within the same interval
    clock.seconds += 10.5
    await turn(services, job)
    assert runs == [1_000.0, 1_010.5]


async def test_a_job_that_fails_is_logged_and_tried_in_the_next_interval(services, clock, caplog):
    runs = []

    async def run() -> None:
        runs.append(clock.seconds)
        raise InvalidInput("broken on purpose")

    job = Periodic(name="test.fails", every=10.0, run=run)
    await turn(services, job)
    clock.seconds += 10.5
    await turn(services, job)
    assert len(runs) == 2
    assert "periodic job test.fails failed: broken on purpose" in caplog.text


@pytest.mark.parametrize("error", [KeyError("canary-1180"), asyncio.CancelledError()], ids=["error", "cancellation"])
async def test_whatever_a_job_raises_ends_neither_its_next_turn_nor_its_neighbour(services, caplog, error):
    reporter, runs, enough = MemoryErrorReporter(), [], asyncio.Event()

    async def broken() -> None:
        runs.append("broken")
        raise error

    async def healthy() -> None:
        runs.append("healthy")
        if runs.count("healthy") >= 3 and runs.count("broken") >= 3:
            enough.set()

    for run in (broken, healthy):
        services.jobs.every(Periodic(name=f"test.{run.__name__}", every=0.01, run=run))
    services = dataclasses.replace(services, errors=reporter, locks=Always())
    task = asyncio.create_task(periodic(services))
    async with asyncio.timeout(10):
        await enough.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "periodic job test.broken failed" in caplog.text
    assert "canary" not in caplog.text
    assert all(told.context == {"job": "test.broken"} for told in reporter.reported)
    assert bool(reporter.reported) is isinstance(error, KeyError)


async def test_a_job_that_outlasts_its_interval_runs_in_one_process(services, clock):
    began, release, runs = asyncio.Event(), asyncio.Event(), []

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


async def test_a_job_whose_lease_is_lost_is_stopped(services, caplog):
    ended = asyncio.Event()

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await turn(dataclasses.replace(services, locks=Lost()), Periodic(name="test.lost", every=0.1, run=run))
    assert ended.is_set()
    assert "was lost" in caplog.text


async def test_a_job_does_not_run_while_leases_are_away(own_valkey, clock, tmp_path, caplog):
    env = {
        "ENVIRONMENT": "testing",
        "TRADESENSE_CACHE__LOCKS": "redis",
        "TRADESENSE_REDIS__URL": own_valkey.server.url(0),
    }

    async def run() -> None:
        raise AssertionError("it must not run without a lease")

    async with open_container(load(env, directory=tmp_path).settings, clock=clock) as services:
        own_valkey.kill()
        await turn(services, Periodic(name="test.alone", every=10.0, run=run))
    assert "waits for leases" in caplog.text


async def test_ended_sessions_are_swept(services):
    sweep = next(job for job in services.jobs.periodic if job.name == "identity.sweep")
    assert await sweep.run() == 0
