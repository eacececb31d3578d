"""The trail's head is written down outside the database, and a trail that ends before it is found."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest

import sqldatabases
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import Event
from tradesense.core.errors import AuditChainBroken, AuditUnavailable
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

EVENT = Event("test.note", "x", Actor(kind="user", id="u1"))
CUT = (
    "DELETE FROM audit_records WHERE seq > 2",
    "UPDATE audit_heads SET seq = 2, hash = (SELECT hash FROM audit_records WHERE seq = 2)",
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "anchors.jsonl"


@pytest.fixture
def place(tmp_path, file):
    """`async with place() as services:` is a platform over a file, whose trail is anchored; `cut()` cuts its tail."""
    url = sqldatabases.sqlite_url(tmp_path)

    @asynccontextmanager
    async def opened(**env):
        env = {
            "ENVIRONMENT": "testing",
            "TRADESENSE_AUDIT__PROVIDER": "sql",
            "TRADESENSE_AUDIT__KEY": "audit-key-of-the-test-0123456789abcd",
            "TRADESENSE_AUDIT__ANCHOR_FILE": str(file),
            "DATABASE_URL": url,
            **env,
        }
        async with open_container(load(env, directory=tmp_path).settings) as services:
            yield services

    def cut():
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
            for statement in CUT:
                database.execute(statement)
            database.commit()

    opened.cut = cut
    return opened


def job_of(services):
    return next(job for job in services.jobs.periodic if job.name == "audit.anchor")


async def test_F13_the_head_is_anchored_every_minute_and_a_cut_tail_is_found(place, file):
    async with place() as services:
        job = job_of(services)
        assert (job.every, await job.run()) == (60.0, 0)
        assert not file.exists(), "an empty trail has nothing to anchor"
        for count in (2, 1):
            for _ in range(count):
                await services.trail.note(EVENT)
            await job.run()
            await job.run()  # nothing has happened since
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        head = await services.trail.head()
        assert [line["seq"] for line in lines] == [2, 3]
        assert (lines[1]["hash"], set(lines[1])) == (head.hash.hex(), {"seq", "hash", "at"})
        assert file.stat().st_mode & 0o777 == 0o600
        found = await services.anchors.verify()
        assert (found.ok, found.anchored) == (True, 3)

        place.cut()
        assert (await services.trail.verify()).ok, "without the anchor nobody can tell"
        found = await services.anchors.verify()
        assert (found.ok, found.first_bad_seq) == (False, 3)
        with pytest.raises(AuditChainBroken, match="its anchor says 3"):
            await job.run()
        await services.trail.note(EVENT)
        with pytest.raises(AuditChainBroken, match="is not the one that its anchor names"):
            await job.run()
        await services.trail.note(EVENT)
        assert (await services.anchors.verify()).first_bad_seq == 3
        assert [json.loads(line)["seq"] for line in file.read_text().splitlines()] == [2, 3]


async def test_a_verification_that_holds_is_an_anchor_too(place, file):
    async with place() as services:
        await services.trail.note(EVENT)
        assert (await services.anchors.verify()).anchored == 0
        assert (await services.anchors.verify()).anchored == 1
    assert len(file.read_text().splitlines()) == 1


async def test_F13_every_line_counts_whatever_their_order(place, file):
    async with place() as services:
        for _ in range(3):
            await services.trail.note(EVENT)
        await job_of(services).run()
        place.cut()
        head = await services.trail.head()
        with file.open("a") as anchors:
            anchors.write(json.dumps({"seq": 2, "hash": head.hash.hex(), "at": "2026-01-01T00:00:00Z"}) + "\n")
        assert (await services.anchors.verify()).first_bad_seq == 3


async def test_a_file_that_a_caller_names_is_looked_at_and_not_written(place, file):
    async with place(TRADESENSE_AUDIT__ANCHOR_FILE="") as services:
        assert "audit.anchor" not in [job.name for job in services.jobs.periodic]
        await services.trail.note(EVENT)
        file.write_text(json.dumps({"seq": 1, "hash": "00" * 32, "at": "2026-01-01T00:00:00Z"}) + "\n")
        before = file.read_bytes()
        assert (await services.anchors.verify()).ok
        assert (await services.anchors.verify(file)).first_bad_seq == 1
        assert file.read_bytes() == before


@pytest.mark.parametrize("line", ["", "x", "{}", '{"seq": "1"}', '{"seq":1,"hash":"zz","at":"2026-01-01T00:00:00Z"}'])
async def test_a_line_that_is_no_anchor_is_told(place, file, line):
    file.write_text(f"{line}\n")
    async with place() as services:
        with pytest.raises(AuditUnavailable, match=r"line 1 of .*anchors\.jsonl is no anchor"):
            await services.anchors.verify()
        with pytest.raises(AuditUnavailable, match="is no anchor"):
            await job_of(services).run()


async def test_a_file_that_cannot_be_written_is_told_and_verifying_goes_on(place, tmp_path, caplog):
    async with place(TRADESENSE_AUDIT__ANCHOR_FILE=str(tmp_path / "absent" / "anchors")) as services:
        await services.trail.note(EVENT)
        with pytest.raises(AuditUnavailable, match=os.strerror(2)):
            await job_of(services).run()
        assert (await services.anchors.verify()).ok
        assert "its head was not anchored" in caplog.text
