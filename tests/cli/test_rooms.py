from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

FLAG = {"variants": {"on": True, "off": False}, "default_variant": "off"}


def test_flags_are_written_read_and_evaluated(cli, read, place: Path):
    (place / "flag.json").write_text(json.dumps(FLAG))
    assert read("flags", "set", "new", "flag.json") == {"key": "new", "revision": 1}
    definition = cli("flags", "get", "new").stdout
    assert read("flags", "set", "new", "-", stdin=definition)["revision"] == 2
    assert read("flags", "get", "new")["flag"]["key"] == "new"
    assert [(row["key"], row["revision"]) for row in read("flags", "list")] == [("new", 2)]
    found = read("flags", "eval", "new", "--context", '{"targetingKey": "u"}')
    assert found == {"key": "new", "value": False, "variant": "off", "reason": "STATIC"}
    assert "value    false" in cli("flags", "eval", "new").stdout


@pytest.mark.parametrize(
    ("definition", "word"),
    [
        ("{", "not JSON"),
        ("[]", "Expected `object`"),
        ('{"variants": 1, "default_variant": "a"}', "$.variants"),
        ('{"variants": {"a": 1}, "default_variant": "b"}', "default_variant"),
        ('{"key": "other", "variants": {"a": 1}, "default_variant": "a"}', "'other'"),
    ],
)
def test_a_definition_that_is_none_is_told_with_its_path(cli, definition: str, word: str):
    done = cli("flags", "set", "new", "-", stdin=definition)
    assert done.exit_code == 1
    assert word in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_flag_may_be_written_only_over_a_known_revision(cli):
    definition = json.dumps(FLAG)
    assert cli("flags", "set", "f", "-", "--expected", "0", stdin=definition).exit_code == 0
    assert cli("flags", "set", "f", "-", "--expected", "0", stdin=definition).exit_code == 1


def test_an_evaluation_without_a_value_fails(cli):
    done = cli("flags", "eval", "absent", "-o", "json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["error_code"] == "FLAG_NOT_FOUND"
    assert cli("flags", "eval", "absent", "--context", "[]").exit_code == 2
    assert cli("flags", "get", "absent").exit_code == 1


def test_runtime_settings_are_written_and_rolled_back(cli, read):
    assert read("config", "set", "ui.theme", "dark", "--public")["revision"] == 1
    changed = read("config", "set", "ui.theme", '{"name": "light"}')
    assert (changed["value"], changed["public"], changed["revision"]) == ({"name": "light"}, True, 2)
    assert read("config", "rollback", "ui.theme", "1")["value"] == "dark"
    assert [row["revision"] for row in read("config", "history", "ui.theme")] == [1, 2, 3]
    assert "light" in cli("config", "history", "ui.theme").stdout
    assert cli("config", "set", "ui.theme", "x", "--expected", "1").exit_code == 1
    assert cli("config", "rollback", "ui.theme", "9").exit_code == 1
    assert cli("config", "history", "absent").exit_code == 1
    assert cli("config", "set", "Not A Key", "x").exit_code == 1


def test_a_setting_that_is_fixed_is_not_changed_while_it_runs(cli):
    done = cli("config", "set", "http.port", "1")
    assert done.exit_code == 1
    assert "TRADESENSE_HTTP__PORT" in done.stderr


def test_the_first_administrator_is_made_once(bare, place: Path):
    done = bare("init", "--email", "admin@example.org")
    assert done.exit_code == 0, done.output
    fields = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert fields["roles"] == "admin"
    assert len(fields["password"]) >= 20
    assert "migrated to" in done.stderr
    again = bare("init", "--email", "second@example.org")
    assert (again.exit_code, again.stdout) == (0, "")
    assert fields["password"].encode() not in b"".join(p.read_bytes() for p in (place / "var").iterdir())


def test_init_refuses_a_word_that_is_no_address_before_it_does_anything(bare, place: Path):
    done = bare("init", "--email", "nobody")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: the part before '@' is not valid")
    assert not list(place.iterdir())


def test_accounts_are_made_listed_and_disabled(cli, read):
    password = "canary long enough to be one"
    done = cli("users", "create", "ada@example.org", "--role", "admin", "--password-stdin", stdin=f"{password}\n")
    assert done.exit_code == 0, done.output
    assert password not in done.output
    made = read("users", "create", "bob@example.org")
    assert (made["roles"], len(made["password"])) == (["user"], 24)
    assert [row["email"] for row in read("users", "list")] == ["ada@example.org", "bob@example.org"]
    assert [row["email"] for row in read("users", "list", "--role", "admin")] == ["ada@example.org"]
    assert cli("users", "disable", "bob@example.org").exit_code == 0
    assert [row["disabled"] for row in read("users", "list")] == [False, True]


@pytest.mark.parametrize(
    ("words", "stdin", "word"),
    [
        (["create", "nonsense"], "", "@"),
        (["create", "a@example.org", "--password-stdin"], "short", "15"),
        (["create", "a@example.org", "--role", "king"], "", "no role 'king'"),
        (["disable", "nobody@example.org"], "", "no account"),
    ],
)
def test_an_account_that_cannot_be_is_told(cli, words: list[str], stdin: str, word: str):
    done = cli("users", *words, stdin=stdin)
    assert (done.exit_code, done.stdout) == (1, "")
    assert word in done.stderr


def test_a_taken_address_is_told_to_operators(cli):
    cli("users", "create", "a@example.org")
    assert "another account" in cli("users", "create", "A@example.org").stderr


def test_the_cache_says_who_keeps_it_and_forgets(cli, read):
    assert read("cache", "stats")["provider"] == "memory"
    assert read("cache", "invalidate", "--key", "a", "--key", "b") == {"removed": 0}
    assert read("cache", "invalidate", "--tag", "red", "--key", "a") == {"removed": 0}
    assert read("cache", "stats")["backend_up"] is True
    assert cli("cache", "invalidate").exit_code == 2
    assert cli("cache", "invalidate", "--tag", "a\n").exit_code == 1
    assert cli("cache", "invalidate", "--key", "").exit_code == 1


def test_the_trail_holds_until_somebody_changes_it(cli, read, place: Path):
    for number in range(3):
        read("config", "set", f"n.n{number}", "1")
    assert read("audit", "verify") == {"ok": True, "checked": 3}
    assert [row["seq"] for row in read("audit", "tail", "-n", "2")] == [2, 3]
    assert [row["seq"] for row in read("audit", "tail", "--subject", "n.n1")] == [2]
    with sqlite3.connect(place / "var" / "tradesense.db") as database:
        (table,) = [
            name
            for (name,) in database.execute(
                "select name from sqlite_master where type = 'table' and name like 'audit%'"
            )
            if "head" not in name
        ]
        database.execute(f"delete from {table} where seq = 2")
    database.close()
    done = cli("audit", "verify")
    assert done.exit_code == 1
    assert "first_bad_seq  2" in done.stdout
    assert "does not hold" in done.stderr


def test_the_schema_is_told_and_brought_up(bare, place: Path):
    del place
    before = json.loads(bare("db", "current", "-o", "json").stdout)
    assert (before["current"], before["up_to_date"]) == (None, False)
    assert before["head"] in bare("db", "upgrade").stdout
    assert json.loads(bare("db", "current", "-o", "json").stdout)["up_to_date"]
    again = bare("db", "upgrade")
    assert (again.stdout, again.stderr) == ("", "nothing to do: the schema is that of this release\n")
    assert json.loads(bare("db", "upgrade", "-o", "json").stdout) == []


def test_a_benchmark_prints_a_row_for_each_operation(bare, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tradesense.entrypoints.bench.measuring.SECONDS", 0.01)
    done = bare("bench", "cache", "--adapters", "memory")
    assert done.exit_code == 0, done.output
    assert "get hit" in done.stdout
    assert json.loads(bare("bench", "cache", "-o", "json").stdout)[0]["adapter"] == "memory"
    assert bare("bench", "cache", "--adapters", "nosuch").exit_code == 78
    assert bare("bench", "cache", "--adapters", ",").exit_code == 2
    assert bare("bench", "fish").exit_code == 2
    nowhere = bare("bench", "cache", "--report", "nowhere/report.html")
    assert nowhere.exit_code == 2
    assert "no directory nowhere" in nowhere.stderr


def test_a_benchmark_of_a_server_that_the_settings_do_not_name_says_so(bare):
    done = bare("bench", "cache", "--adapters", "redis")
    assert done.exit_code == 78
    assert "REDIS_URL" in done.stderr


def test_a_benchmark_reports_on_a_page(bare, monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr("tradesense.entrypoints.bench.measuring.SECONDS", 0.01)
    monkeypatch.setattr("tradesense.entrypoints.bench.zipf.READS", 2_000)
    report = tmp_path / "out.html"
    done = bare("bench", "cache", "--adapters", "memory,hybrid", "--report", str(report), "--seed", "7")
    assert done.exit_code == 0, done.output
    page = report.read_text()
    assert page.count("<svg") == 14
    assert "<dt>seed of the load</dt><dd>7</dd>" in page
    assert "Hit rate under a Zipf load" in page


def test_a_benchmark_of_secrets_reports_without_hit_rates(bare, monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr("tradesense.entrypoints.bench.measuring.SECONDS", 0.01)
    monkeypatch.setattr("tradesense.entrypoints.bench.secrets.LISTED", 30)
    monkeypatch.setenv("TRADESENSE_SECRETS__LOCAL__ROOT_KEY", "x" * 43 + "=")
    monkeypatch.setenv("TRADESENSE_SECRET_A__B", "value")
    report = tmp_path / "out.html"
    assert bare("db", "upgrade").exit_code == 0
    done = bare("bench", "secrets", "--adapters", "memory,sql,env", "--report", str(report), "-o", "json")
    assert done.exit_code == 0, done.output
    assert "Hit rate" not in report.read_text()
    found = {}
    for row in json.loads(done.stdout):
        found.setdefault(row["adapter"], {})[row["operation"]] = None
    reading = ["get cold", "get cached", "list 1,000"]
    assert {name: [*operations] for name, operations in found.items()} == {
        "memory": ["put", *reading],
        "sql": ["put", *reading],
        "env": reading,
    }
    assert bare("secrets", "list", "-o", "json").exit_code == 0
