"""`tradesense audit` on a database that somebody has been at."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture
def owner(place: Path):
    """Run a statement as whoever owns the database."""

    def do(*statements: str) -> list[tuple]:
        with closing(sqlite3.connect(place / "var" / "tradesense.db")) as database:
            rows = [row for statement in statements for row in database.execute(statement)]
            database.commit()
        return rows

    return do


@pytest.fixture
def trail(read):
    """A trail of three rows."""
    for number in range(3):
        read("config", "set", f"n.n{number}", "1")


@pytest.mark.usefixtures("trail")
def test_F13_garbage_in_a_row_is_named_and_is_no_internal_error(cli, owner):
    owner("UPDATE audit_records SET entry = 'x' WHERE seq = 2")
    done = cli("audit", "verify")
    assert done.exit_code == 1
    assert "first_bad_seq  2" in done.stdout
    tail = cli("audit", "tail")
    assert tail.exit_code == 1
    assert "row 2" in tail.stderr
    assert "internal error" not in tail.stderr
    assert cli("audit", "tail", "-n", "1").exit_code == 0


@pytest.mark.usefixtures("trail")
def test_F13_a_cut_tail_is_found_by_an_anchor(cli, read, owner, place: Path):
    ((last,),) = owner("SELECT hash FROM audit_records WHERE seq = 3")
    anchors = place / "anchors"
    anchors.write_text(json.dumps({"seq": 3, "hash": last.hex(), "at": "2026-01-01T00:00:00Z"}) + "\n")
    assert read("audit", "verify", "--anchor", str(anchors)) == {"ok": True, "checked": 3, "anchored": 3}
    owner("DELETE FROM audit_records", "DELETE FROM audit_heads")
    assert read("audit", "verify") == {"ok": True, "checked": 0}
    done = cli("audit", "verify", "--anchor", str(anchors))
    assert done.exit_code == 1
    assert "first_bad_seq  1" in done.stdout
    assert cli("audit", "verify", "--anchor", str(place / "absent")).exit_code == 2
