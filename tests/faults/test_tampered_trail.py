"""Whoever owns the database can do anything to the audit trail in it. What they did is found, and where."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass

import asyncpg
import pytest

import sqldatabases
from sqldatabases import platform, sql
from tradesense.core.audit.models import Actor, AuditEntry, AuditQuery
from tradesense.core.audit.ports import AuditLog
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import AuditChainBroken, AuditUnavailable
from tradesense.core.testing.base import every

ROWS = 12
COLUMNS = "stream, seq, at, entry, previous, hash, action, actor_id, subject"
GARBAGE = ("", "x", "{}", "null", "[" * 5_000, '{"action": "\\ud800"}', "2026-01-01", "🦄")
QUERIES = (AuditQuery(), AuditQuery(action="test.*"), AuditQuery(actor_id="u1"), AuditQuery(subject="s3"))


class File:
    """A superuser of SQLite, which keeps in any column whatever it is given."""

    instants = ("2020-01-01 00:00:00.000000", "garbage", "2026-13-45 00:00:00.000000", "", "20260101", "7")
    anything = ("x'ff'", "x''", "'garbage'", "2.5", "7")

    def __init__(self, url):
        self.path = url.removeprefix("sqlite:///")

    async def do(self, *statements):
        with closing(sqlite3.connect(self.path)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    @staticmethod
    def blob(value):
        return f"x'{value.hex()}'"


class Server:
    """A superuser of PostgreSQL, whom no foreign key holds."""

    instants = (
        "2020-01-01 00:00:00+00",
        "infinity",
        "-infinity",
        "294000-01-01 00:00:00+00",
        "0044-03-15 00:00:00+00 BC",
    )
    anything = ()

    def __init__(self, url):
        self.url = url

    async def do(self, *statements):
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute("SET session_replication_role = replica")
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    @staticmethod
    def blob(value):
        return f"'\\x{value.hex()}'::bytea"


@dataclass
class Tampering:
    """What was done, and the number that must be named."""

    statements: list[str]
    first_bad: int


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def edit(rng, owner):
    row = rng.randint(1, ROWS)
    column = rng.choice(["entry", "entry", "at", "previous", "hash", "action", "actor_id", "subject", "anything"])
    if column == "entry":
        value = rng.choice(["replace(entry, 'u1', 'u2')", "entry || ' '", *map(quoted, GARBAGE)])
        row -= 1 - row % 2  # an odd one, which u1 has done
    elif column == "at":
        value = quoted(rng.choice(owner.instants))
    elif column in {"previous", "hash"}:
        value = owner.blob(rng.randbytes(rng.choice([0, 31, 32])))
    elif column == "anything" and owner.anything:
        column, value = rng.choice(["seq", "at", "entry", "hash", "action", "subject"]), rng.choice(owner.anything)
        if column == "seq" and value == "7":
            value = "2.5"
        row = max(row, 3) if column == "seq" else row
    else:
        column = "subject" if column == "anything" else column
        value = quoted(rng.choice(["other", "", "test.1", "s3", "u2"]))
        value = f"CASE WHEN {column} = {value} THEN 'else' ELSE {value} END"
    first_bad = 3 if (column, value) == ("seq", "2.5") else row
    return Tampering([f"UPDATE audit_records SET {column} = {value} WHERE seq = {row}"], first_bad)


def delete(rng, _):
    row = rng.randint(1, ROWS)
    return Tampering([f"DELETE FROM audit_records WHERE seq = {row}"], row)


def reorder(rng, _):
    first, second = sorted(rng.sample(range(1, ROWS + 1), 2))
    steps = [(first, -1000), (second, first), (-1000, second)]
    return Tampering([f"UPDATE audit_records SET seq = {new} WHERE seq = {old}" for old, new in steps], first)


def move(rng, _):
    row = rng.randint(1, ROWS)
    return Tampering([f"UPDATE audit_records SET seq = {ROWS + rng.randint(1, 9)} WHERE seq = {row}"], row)


def insert(rng, _):
    row, place = rng.randint(1, ROWS), rng.choice([-(2**63), -1, 0, ROWS + 1, ROWS + 5, 2**63 - 1])
    return Tampering([_copy(row, str(place))], place)


def squeeze(rng, _):
    """Put a row between two, and let those behind it make room."""
    place = rng.randint(1, ROWS)
    return Tampering(
        [
            f"UPDATE audit_records SET seq = -seq - 1 WHERE seq >= {place}",
            "UPDATE audit_records SET seq = -seq WHERE seq < 0",
            _copy(1 if place > 1 else 3, str(place)),
            f"UPDATE audit_heads SET seq = {ROWS + 1}",
        ],
        place,
    )


def cut(rng, _):
    left = rng.randint(1, ROWS - 1)
    return Tampering(_cut_to(left), left + 1)


def wipe(_rng, _):
    return Tampering(["DELETE FROM audit_records", "DELETE FROM audit_heads"], 1)


def behead(rng, owner):
    left = rng.randint(1, ROWS - 1)
    return rng.choice(
        [
            Tampering(_cut_to(left)[1:], left + 1),
            Tampering(["DELETE FROM audit_heads"], 1),
            Tampering([f"UPDATE audit_heads SET seq = {ROWS + 1}"], ROWS + 1),
            Tampering([f"UPDATE audit_heads SET hash = {owner.blob(rng.randbytes(32))}"], ROWS),
            Tampering([f"UPDATE audit_heads SET hash = {owner.blob(b'')}"], 0),
            Tampering(["UPDATE audit_heads SET seq = -1"], 0),
        ]
    )


TAMPERINGS = (edit, edit, edit, delete, reorder, move, insert, squeeze, cut, wipe, behead)


def _copy(row, place):
    return f"INSERT INTO audit_records SELECT {COLUMNS.replace('seq', place)} FROM audit_records WHERE seq = {row}"


def _cut_to(left):
    """The tail goes, and the head says that it never was."""
    last = f"(SELECT hash FROM audit_records WHERE seq = {left})"
    return [f"DELETE FROM audit_records WHERE seq > {left}", f"UPDATE audit_heads SET seq = {left}, hash = {last}"]


SAVE = [f"CREATE TABLE saved_{name} AS SELECT * FROM audit_{name}" for name in ("heads", "records")]
RESTORE = [
    "DELETE FROM audit_records",
    "DELETE FROM audit_heads",
    "INSERT INTO audit_heads SELECT * FROM saved_heads",
    f"INSERT INTO audit_records ({COLUMNS}) SELECT {COLUMNS} FROM saved_records",
]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield sqldatabases.sqlite_url(tmp_path)
        return
    with sqldatabases.postgresql_database(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture
def owner(url):
    return File(url) if url.startswith("sqlite") else Server(url)


@pytest.fixture
async def log(url):
    async with sql(AuditLog, url) as log:
        for number in range(1, ROWS + 1):
            await log.append(_entry(number))
        yield log


@pytest.fixture
def trail(log):
    return AuditTrail(log=log, chain=platform().chain, transactions=None)


def _entry(number):
    actor = Actor(kind="user", id=f"u{2 - number % 2}")
    return AuditEntry(action=f"test.{number % 3}", subject=f"s{number % 4}", actor=actor)


@pytest.mark.soak
async def test_F13_every_tampering_is_found_and_the_first_bad_row_named(owner, trail, soaking):
    anchor = await trail.head()
    await owner.do(*SAVE)
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for number in range(200 if soaking else 33):
        tampering = TAMPERINGS[number % len(TAMPERINGS)](rng, owner)
        await owner.do(*tampering.statements)
        found = await trail.verify([anchor])
        told = f"seed {seed}, {number}: {tampering} {found}"
        assert (found.ok, found.first_bad_seq) == (False, tampering.first_bad), told
        assert found.checked == max(min(tampering.first_bad - 1, ROWS), 0), told
        for query in QUERIES:
            await _read(trail, query, told)
        await owner.do(*RESTORE)
        restored = await trail.verify([anchor])
        assert (restored.ok, restored.checked, restored.anchored) == (True, ROWS, ROWS), told


async def _read(trail, query, told):
    """A reader sees records that were written, under what they say, or is told that the trail is broken."""
    for order in ({}, {"newest_first": True}):
        try:
            records = await every(lambda cursor, order=order: trail.read(query, cursor=cursor, limit=5, **order))
        except AuditChainBroken:
            continue
        for record in records:
            assert record.entry == _entry(record.seq), told
            assert query.subject in {"", record.entry.subject}, told
            assert query.actor_id in {"", record.entry.actor.id}, told


async def test_F13_a_cut_tail_is_a_whole_chain_to_whoever_has_no_anchor(owner, trail):
    anchors = [await trail.head()]
    await owner.do(*_cut_to(5))
    assert (await trail.verify()).ok
    assert (await trail.verify(anchors)).first_bad_seq == 6
    await owner.do(*wipe(None, owner).statements)
    found = await trail.verify()
    assert (found.ok, found.checked, found.anchored) == (True, 0, 0)
    assert (await trail.verify(anchors)).first_bad_seq == 1


async def test_F13_a_tail_that_was_cut_and_has_grown_again_is_not_the_one_that_was_anchored(owner, trail, log):
    anchors = [await trail.head()]
    await owner.do(*_cut_to(5))
    for number in range(20):
        await log.append(_entry(number))
    assert (await trail.verify()).ok
    found = await trail.verify(anchors)
    assert (found.ok, found.first_bad_seq) == (False, ROWS)
    assert "anchor" in found.reason


async def test_F13_while_a_forged_row_is_in_the_way_nothing_can_be_recorded(owner, trail):
    await owner.do(_copy(3, str(ROWS + 1)))
    with pytest.raises(AuditUnavailable, match="audit trail has been changed") as refused:
        await trail.note(Event("test.note", "x", Actor(kind="user", id="u1")))
    assert "audit verify" in refused.value.mend
    await owner.do(f"DELETE FROM audit_records WHERE seq > {ROWS}")
    await trail.note(Event("test.note", "x", Actor(kind="user", id="u1")))
    assert (await trail.verify()).checked == ROWS + 1


async def test_F13_while_the_head_is_none_nothing_can_be_recorded(owner, trail):
    await owner.do(f"UPDATE audit_heads SET hash = {owner.blob(b'')}")
    with pytest.raises(AuditUnavailable, match="the head cannot be read"):
        await trail.note(Event("test.note", "x", Actor(kind="user", id="u1")))
