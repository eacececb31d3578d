"""Periodic jobs run once per interval, however many workers there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tradesense.core.errors import InvalidInput
from tradesense.core.jobs.service import Periodic
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.worker.periodic import turn
from tradesense.settings.load import load


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


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
