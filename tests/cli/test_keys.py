from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest


@pytest.fixture
def ring(place, monkeypatch):
    monkeypatch.setenv("TRADESENSE_SECRETS__LOCAL__RING_FILE", str(place / "ring.json"))


@pytest.mark.usefixtures("ring")
def test_R51_keys_are_rotated_rewrapped_and_an_old_one_is_kept_while_it_seals(cli, read, place):
    for number in range(3):
        read("secrets", "put", f"k/{number}", "--stdin", stdin=f"value {number}")
    assert [(row["current"], row["envelopes"]) for row in read("keys", "status")] == [(True, 3)]
    old = read("keys", "status")[0]["key"]
    new = read("keys", "rotate")["key"]
    read("secrets", "put", "k/0", "--stdin", stdin="value 0")
    assert [(row["key"], row["current"], row["envelopes"]) for row in read("keys", "status")] == [
        (old, False, 3),
        (new, True, 1),
    ]
    done = cli("keys", "retire", old)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    with closing(sqlite3.connect(place / "var" / "tradesense.db")) as database, database:
        ((sealed,),) = database.execute("SELECT envelope FROM secret_versions WHERE path = 'k/1'")
        database.execute("UPDATE secret_versions SET envelope = x'00' WHERE path = 'k/1'")
    done = cli("keys", "rewrap")
    assert done.exit_code == 1
    assert "1 envelopes do not open" in done.stderr
    assert "2 others were rewrapped: k/1@1" in done.stderr
    assert "destroy the versions" in done.stderr
    assert [(row["key"], row["envelopes"]) for row in read("keys", "status")] == [(old, 1), (new, 3)]
    with closing(sqlite3.connect(place / "var" / "tradesense.db")) as database, database:
        database.execute("UPDATE secret_versions SET envelope = ? WHERE path = 'k/1'", [sealed])
    assert read("keys", "rewrap")["envelopes"] == 1
    assert read("keys", "rewrap")["envelopes"] == 0
    assert [cli("secrets", "get", f"k/{number}").stdout for number in range(3)] == [f"value {n}" for n in range(3)]
    assert [row["envelopes"] for row in read("keys", "status")] == [0, 4]
    for wrong in (new, "unknown"):
        assert cli("keys", "retire", wrong).exit_code == 1


def test_without_a_ring_file_the_mend_says_what_to_do(cli):
    done = cli("keys", "rotate")
    assert done.exit_code == 1
    assert "secrets.local.ring_file" in done.stderr
