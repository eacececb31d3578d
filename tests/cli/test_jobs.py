"""Dead jobs by the command line, over a real server."""

from __future__ import annotations

import asyncio
import secrets

import pytest

import contracted
from tradesense.core.jobs import JobQueue
from tradesense.core.jobs.models import Job
from tradesense.core.sensitive import Secret
from tradesense.core.testing import eventually


async def fail(_):
    raise ZeroDivisionError("the reason, which must not be kept")


@pytest.fixture
def queue(valkey, monkeypatch):
    """Opens a queue on a server where three jobs have failed in every attempt."""
    url, prefix = valkey.url(0), f"t{secrets.token_hex(4)}:"
    monkeypatch.setenv("TRADESENSE_JOBS__PROVIDER", "taskiq")
    monkeypatch.setenv("TRADESENSE_REDIS__URL", url)
    monkeypatch.setenv("TRADESENSE_REDIS__PREFIX", prefix)
    monkeypatch.setenv("TRADESENSE_REDIS__TIMEOUT", "5")

    def opened():
        settings = {"url": Secret(url), "prefix": prefix, "timeout": 5.0, "job_retry_seconds": 0.001}
        return contracted.build(contracted.manifest("taskiq", JobQueue), contracted.context(), **settings)

    async def bury():
        async with opened() as queue:
            for number in range(3):
                await queue.enqueue(Job(id=f"job-{number}", name="test.fails", payload={"n": number}, key=f"k{number}"))
            working = asyncio.create_task(queue.work(fail))

            async def dead():
                return len(await queue.dead()) == 3

            await eventually(dead, seconds=30)
            working.cancel()
            await asyncio.wait([working])

    asyncio.run(bury())
    return opened


async def done(opened, count):
    """What a worker is handed."""
    given = []

    async def handle(job):
        given.append(job)

    async with opened() as queue:
        working = asyncio.create_task(queue.work(handle))

        async def enough():
            return len(given) == count and await queue.depth() == 0

        await eventually(enough, seconds=30)
        working.cancel()
        await asyncio.wait([working])
        return given, [one.job.id for one in await queue.dead()]


def test_dead_jobs_are_listed_shown_done_again_and_dropped_with_rows_in_the_trail(cli, read, queue):
    listed = read("jobs", "dead")
    assert sorted((one["id"], one["name"], one["error"]) for one in listed) == [
        (f"job-{number}", "test.fails", "ZeroDivisionError") for number in range(3)
    ]
    assert read("jobs", "show", "job-1")["payload"] == {"n": 1}
    refused = cli("jobs", "redo", "job-1", "job-9")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1), refused.output
    assert "there is no dead job 'job-9'" in refused.stderr
    assert read("jobs", "redo", "job-1") == {"redone": 1, "left": 0}
    assert read("jobs", "drop", "job-0") == {"dropped": 1}
    given, dead = asyncio.run(done(queue, 1))
    assert given == [Job(id="job-1", name="test.fails", payload={"n": 1}, key="k1")], "in its first attempt"
    assert dead == ["job-2"], "nothing was changed by what was refused"
    rows = {(row["action"], row["subject"]) for row in read("audit", "tail") if row["action"].startswith("jobs.")}
    assert rows == {("jobs.redo", "job-1"), ("jobs.drop", "dead jobs")}


@pytest.mark.parametrize("word", ["redo", "drop"])
def test_which_dead_jobs_is_said_once(bare, word):
    assert bare("jobs", word).exit_code == 2
    assert bare("jobs", word, "job-1", "--all").exit_code == 2
