"""Workers that are killed, that stand still, and that are stopped: every job is done, and has its effect once."""

from __future__ import annotations

import signal
import time
from contextlib import asynccontextmanager, suppress

import pytest

from servers import reachable_folder, wait_until
from sqldatabases import postgresql_database
from tradesense.core.testing import eventually
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load
from worker_process import workers

IDLE = 2.0
"""Seconds without a sign of life after which a worker's jobs are another's."""


@pytest.fixture
def env(postgres, valkey_url):
    with postgresql_database(postgres) as url:
        yield {
            "ENVIRONMENT": "testing",
            "DATABASE_URL": url,
            "TRADESENSE_REDIS__URL": valkey_url,
            "TRADESENSE_REDIS__TIMEOUT": "5",
            "TRADESENSE_REDIS__JOB_IDLE_SECONDS": str(IDLE),
            "TRADESENSE_REDIS__JOB_RETRY_SECONDS": "0.05",
            "TRADESENSE_REDIS__JOB_CONCURRENCY": "4",
            "TRADESENSE_AUDIT__PROVIDER": "sql",
            "TRADESENSE_JOBS__OUTBOX": "sql",
            "TRADESENSE_JOBS__PROVIDER": "taskiq",
            "TRADESENSE_JOBS__EMBEDDED": "false",
            "TRADESENSE_CACHE__LOCKS": "sql",
        }


@pytest.fixture
def folder():
    with reachable_folder() as place:
        yield place


@asynccontextmanager
async def enqueuing(env, folder):
    """The platform of whoever enqueues; it relays nothing."""
    async with open_container(load(env, directory=folder).settings) as services:
        yield services


async def enqueue(services, count, *, seconds=0.05):
    """Ten jobs to a transaction, and as many that are undone."""
    for first in range(0, count, 10):
        async with services.transactions.begin():
            for number in range(first, min(first + 10, count)):
                assert await services.jobs.enqueue("test.effect", {"seconds": seconds}, key=f"effect-{number}")
        with suppress(ZeroDivisionError):
            async with services.transactions.begin():
                await services.jobs.enqueue("test.effect", {"seconds": seconds}, key=f"undone-{first}")
                raise ZeroDivisionError


async def nothing_left(services, *, seconds):
    async def empty():
        """The outbox and the queue are empty."""
        return await services.jobs._outbox.waiting() + await services.jobs._queue.depth() == 0

    await eventually(empty, seconds=seconds)


def mid_job(book, before, *, ends=0, worker=None):
    """So many jobs have ended since, and not all that began have; ``False`` where the worker ended by itself."""
    return wait_until(
        lambda: book.effects() >= before + ends and book.attempts() > book.effects(),
        "a job in hand",
        seconds=60,
        unless=lambda: worker is not None and worker.process.poll() is not None,
    )


async def killed(env, folder, *, jobs, kills):
    async with enqueuing(env, folder) as services:
        await enqueue(services, jobs)
        with workers(folder, env) as (book, start):
            for kill in range(kills):
                before = book.effects()
                # Now sooner, now later: jobs that took five workers with them would be dead, as poison is.
                ends, worker = 4 + kill * 7 % 23, start()
                while not mid_job(book, before, ends=ends, worker=worker):
                    assert "did not build" in worker.log.read_text(), worker.log.read_text()
                    worker = start()  # too busy a machine: it is told so, and whoever supervises begins it again
                worker.kill()
            assert book.effects() < jobs, "the kills came while there was work"
            last = start()
            await nothing_left(services, seconds=60 + jobs / 20)
            assert last.stop() == 0
            assert book.effects() == book.total() == jobs
            assert book.attempts() > jobs, "some were begun twice"
            assert list(await services.jobs._queue.dead()) == []


@pytest.mark.timeout(180)
async def test_F03_jobs_of_a_worker_that_is_killed_again_and_again_are_all_done_once(env, folder):
    await killed(env, folder, jobs=150, kills=3)


@pytest.mark.soak
async def test_F03_a_worker_is_killed_a_hundred_times_mid_job(env, folder, soaking):
    if not soaking:
        pytest.skip("its short form is the test above")
    await killed(env, folder, jobs=3000, kills=100)


@pytest.mark.soak
async def test_of_1000_jobs_with_the_worker_killed_20_times_none_is_lost_and_each_has_its_effect_once(
    env, folder, soaking
):
    if not soaking:
        pytest.skip("its short form is the first test of this module")
    await killed(env, folder, jobs=1000, kills=20)


@pytest.mark.soak
@pytest.mark.timeout(180)
async def test_F03_a_worker_that_stands_still_past_its_lease_loses_its_jobs_and_does_no_harm_when_it_goes_on(
    env, folder, soaking
):
    async with enqueuing(env, folder) as services:
        with workers(folder, env) as (book, start):
            sleeper, other = start(), None
            sleeper.ready()
            for turn in range(10 if soaking else 2):
                keys = [f"still-{turn}-{number}" for number in range(3)]
                before, done = book.attempts(), book.effects()
                for key in keys:
                    await services.jobs.enqueue("test.effect", {"seconds": 0.5}, key=key)
                wait_until(lambda start=before: book.attempts() >= start + 3, "three jobs in hand", seconds=60)
                sleeper.signal(signal.SIGSTOP)
                stopped = time.monotonic()
                if other is None:
                    other = start()
                    other.ready()
                    stopped = max(stopped, time.monotonic() - IDLE)
                else:
                    other.signal(signal.SIGCONT)
                wait_until(lambda end=done: book.effects() == end + 3, "the other worker", seconds=60)
                assert time.monotonic() - stopped < 2 * IDLE + 0.5 + 1, "taken over within two leases, and then done"
                sleeper.signal(signal.SIGCONT)
                # it ends what it had begun, and finds that it is done
                await nothing_left(services, seconds=30)
                other.signal(signal.SIGSTOP)  # so that the next jobs are the sleeper's
            assert sleeper.stop() == other.stop() == 0
            assert book.effects() == book.total()
            assert list(await services.jobs._queue.dead()) == []


@pytest.mark.timeout(180)
async def test_F03_a_poison_job_is_dead_after_five_attempts_whether_it_fails_or_kills_its_worker(env, folder):
    async with enqueuing(env, folder) as services:
        for name in ("test.fails", "test.kills"):
            await services.jobs.enqueue(name, {}, key=name)
        with workers(folder, {**env, "TRADESENSE_REDIS__JOB_IDLE_SECONDS": "1"}) as (book, start):
            for number in range(1, 6):
                worker = start()
                assert worker.process.wait(60) == -signal.SIGKILL
                assert book.attempts("test.kills") == number
            last = start()
            await nothing_left(services, seconds=60)
            assert last.stop() == 0
            dead = {one.job.name: one.error for one in await services.jobs._queue.dead()}
            assert dead["test.kills"] == "WorkerLost"
            assert dead["test.fails"] in {"InvalidInput", "WorkerLost"}
            assert book.attempts("test.kills") == 5
            assert book.attempts("test.fails") <= 5


async def test_F14_a_worker_that_is_asked_to_stop_ends_its_job_and_gives_back_the_rest(env, folder):
    async with enqueuing(env, folder) as services:
        for number in range(12):
            await services.jobs.enqueue("test.effect", {"seconds": 1.0}, key=f"drain-{number}")
        with workers(folder, env) as (book, start):
            worker = start()

            async def relayed():
                """The queue has all jobs."""
                return await services.jobs._queue.depth() == 12

            await eventually(relayed, seconds=60)
            mid_job(book, 0)
            assert worker.stop() == 0
            begun = book.attempts()
            assert book.effects() == book.total() == begun < 12, "what it has begun it ends, and it begins no other"
            assert await services.jobs._queue.depth() == 12 - begun
            text = worker.log.read_text()
            assert '"event":"worker stopped"' in text
            assert text.count('"event":"job"') == begun
            assert text.count('"outcome":"succeeded"') >= begun
