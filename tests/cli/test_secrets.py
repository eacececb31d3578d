from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import sqlite3

import pytest
from cryptography.fernet import Fernet

from tradesense.core.secrets.service import Secrets

CANARY = "canary-value-of-a-secret"


def test_a_secret_comes_back_byte_by_byte(cli, read):
    done = cli("secrets", "put", "team-a/db", "--stdin", stdin=f"{CANARY}\n")
    assert done.exit_code == 0, done.output
    assert CANARY not in done.output
    assert cli("secrets", "get", "team-a/db").stdout_bytes == CANARY.encode()
    assert read("secrets", "get", "team-a/db") == {
        "path": "team-a/db",
        "value": CANARY,
        "version": 1,
        "provider": "sql",
    }


def test_bytes_and_line_ends_can_be_kept(cli, read):
    data = b"\x00\xff\r\n\n"
    assert read("secrets", "put", "raw", "--stdin", "--exact", stdin=data)["version"] == 1
    assert cli("secrets", "get", "raw").stdout_bytes == data
    found = read("secrets", "get", "raw")
    assert base64.b64decode(found["value"]) == data
    assert found["encoding"] == "base64"
    read("secrets", "put", "raw", "--stdin", stdin=b"x\r\n")
    assert cli("secrets", "get", "raw").stdout_bytes == b"x"


def test_versions_are_listed_and_read(cli, read):
    for value in ("one", "two"):
        read("secrets", "put", "v", "--stdin", stdin=value)
    assert [(one["version"], one["current"]) for one in read("secrets", "versions", "v")] == [(1, False), (2, True)]
    assert cli("secrets", "get", "v", "--version", "1").stdout == "one"
    done = cli("secrets", "get", "v", "--version", "9")
    assert (done.exit_code, done.stdout) == (1, "")


def test_a_part_of_a_value_is_changed_from_standard_input(cli, read):
    read("secrets", "put", "p", "--stdin", stdin='{"user":"a","password":"x","old":1}')
    changed = read("secrets", "patch", "p", "--stdin", stdin=f'{{"password":"{CANARY}","old":null}}')
    assert (changed["version"], changed["provider"]) == (2, "sql")
    assert json.loads(cli("secrets", "get", "p").stdout) == {"user": "a", "password": CANARY}
    for bad in (f"{CANARY}", f'["{CANARY}"]', "\udcff"):
        done = cli("secrets", "patch", "p", "--stdin", stdin=bad.encode("utf-8", "surrogateescape"))
        assert (done.exit_code, CANARY in done.output) == (1, False)
    assert cli("secrets", "patch", "p", "--stdin", "--cas", "1", stdin="{}").exit_code == 1
    assert cli("secrets", "patch", "p", stdin="{}").exit_code == 2


def test_metadata_and_retention_are_set_and_shown(cli, read):
    for number in range(3):
        read("secrets", "put", "k", "--stdin", stdin=f"{number}")
    assert cli("secrets", "describe", "k", "owner=team a", "url=x=y").exit_code == 0
    assert read("secrets", "metadata", "k") == {"owner": "team a", "url": "x=y"}
    for bad in (("nothing",), ("a=1", "a=2")):
        assert cli("secrets", "describe", "k", *bad).exit_code == 2
    assert cli("secrets", "describe", "k").exit_code == 0
    assert read("secrets", "metadata", "k") == {}
    assert cli("secrets", "retain", "k", "--max-versions", "2").exit_code == 0
    assert cli("secrets", "retain", "k", "--delete-after", "60").exit_code == 0
    assert read("secrets", "retention", "k") == {"path": "k", "max_versions": 2, "delete_after": 60}
    read("secrets", "put", "k", "--stdin", stdin="3")
    assert [one["version"] for one in read("secrets", "versions", "k")] == [3, 4]
    told = [row for row in read("audit", "tail") if row["action"] == "secrets.retain"]
    assert [(row["subject"], row["actor"].partition(" ")[0]) for row in told] == [("k", "operator")] * 2
    assert cli("secrets", "retain", "k").exit_code == 2
    assert cli("secrets", "retention", "absent").exit_code == 1


def test_a_write_may_name_the_version_that_it_expects(cli, read):
    read("secrets", "put", "c", "--stdin", "--cas", "0", stdin="one")
    done = cli("secrets", "put", "c", "--stdin", "--cas", "0", stdin=CANARY)
    assert done.exit_code == 1
    assert CANARY not in done.output
    assert cli("secrets", "get", "c").stdout == "one"


def test_secrets_are_listed_by_prefix_and_deleted(cli, read):
    for path in ("a/x", "a/y", "b"):
        read("secrets", "put", path, "--stdin", stdin="1")
    assert [row["path"] for row in read("secrets", "list", "a/")] == ["a/x", "a/y"]
    assert cli("secrets", "list").stdout.split() == ["PATH", "a/x", "a/y", "b"]
    assert cli("secrets", "delete", "a/x").exit_code == 0
    assert cli("secrets", "delete", "a/x").exit_code == 1
    assert [row["path"] for row in read("secrets", "list")] == ["a/y", "b"]


def test_all_pages_are_listed(cli, monkeypatch):
    whole = Secrets.list

    async def two(self, prefix="", *, cursor=None, limit, recursive=True):
        return await whole(self, prefix, cursor=cursor, limit=min(limit, 2), recursive=recursive)

    monkeypatch.setattr(Secrets, "list", two)
    for path in "abcde":
        cli("secrets", "put", path, "--stdin", stdin="1")
    assert [row["path"] for row in json.loads(cli("secrets", "list", "-o", "json").stdout)] == list("abcde")


def test_wrong_paths_and_absent_secrets_are_one_line(cli):
    for path, word in (("../etc", "not a secret path"), ("absent", "absent"), ("a\x1b[2J", "not a secret path")):
        done = cli("secrets", "get", path)
        assert (done.exit_code, done.stdout) == (1, "")
        assert word in done.stderr
        assert done.stderr.count("\n") == 1
        assert "\x1b" not in done.stderr


def test_a_value_is_asked_for_only_on_a_terminal(cli):
    done = cli("secrets", "put", "a", stdin="x")
    assert done.exit_code == 2
    assert "--stdin" in done.stderr


def test_providers_say_what_they_can(read):
    found = {row["name"]: row for row in read("secrets", "providers")}
    assert found["sql"]["chosen"]
    assert "versions" in found["sql"]["capabilities"]
    assert "write" not in found["env"]["capabilities"]


def test_a_read_only_provider_says_so(cli):
    env = {"TRADESENSE_SECRETS__PROVIDER": "env", "TRADESENSE_SECRET_A": CANARY}
    assert cli("secrets", "get", "a", env=env).stdout == CANARY
    done = cli("secrets", "put", "a", "--stdin", stdin="x", env=env)
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr
    assert "keeps no versions" in cli("secrets", "versions", "a", env=env).stderr


def test_what_will_be_lost_is_told(cli):
    done = cli("secrets", "put", "a", "--stdin", stdin="x", env={"TRADESENSE_SECRETS__PROVIDER": "memory"})
    assert done.exit_code == 0
    assert "ends with it" in done.stderr


def test_reads_and_writes_are_on_the_trail(cli, read):
    read("secrets", "put", "a", "--stdin", stdin=CANARY)
    cli("secrets", "get", "a")
    cli("secrets", "get", "b")
    rows = read("audit", "tail", "--action", "secrets.*")
    assert [(row["action"], row["subject"], row["outcome"]) for row in rows] == [
        ("secrets.put", "a", "succeeded"),
        ("secrets.get", "a", "succeeded"),
        ("secrets.get", "b", "failed"),
    ]
    assert all(row["actor"].startswith("operator ") for row in rows)
    assert CANARY not in cli("audit", "tail", "-o", "json").stdout


def test_what_was_deleted_comes_back_and_what_was_destroyed_does_not(cli, read):
    for value in ("one", "two"):
        read("secrets", "put", "d/x", "--stdin", stdin=value)
    assert cli("secrets", "delete", "d/x").exit_code == 0
    assert cli("secrets", "get", "d/x").exit_code == 1
    assert [row["state"] for row in read("secrets", "versions", "d/x")] == ["deleted", "deleted"]
    assert cli("secrets", "undelete", "d/x").exit_code == 0
    assert cli("secrets", "get", "d/x").stdout == "two"
    assert cli("secrets", "destroy", "d/x", "--version", "1", "--yes").exit_code == 0
    rows = read("secrets", "versions", "d/x")
    assert [(row["state"], row["created_by"].partition(":")[0]) for row in rows] == [
        ("destroyed", "operator"),
        ("available", "operator"),
    ]
    assert cli("secrets", "destroy", "d/x", stdin="n\n").exit_code == 130
    assert cli("secrets", "destroy", "d/x", "--yes").exit_code == 0
    assert cli("secrets", "undelete", "d/x").exit_code == 1


def test_a_rollback_is_a_new_version_and_folders_are_listed(cli, read):
    for value in ("one", "two"):
        read("secrets", "put", "r/a/b", "--stdin", stdin=value)
    assert cli("secrets", "rollback", "r/a/b", "1", "--cas", "1").exit_code == 1
    assert read("secrets", "rollback", "r/a/b", "1", "--cas", "2")["version"] == 3
    assert cli("secrets", "get", "r/a/b").stdout == "one"
    read("secrets", "put", "r/c", "--stdin", stdin="x")
    assert [row["path"] for row in read("secrets", "list", "r/", "--folder")] == ["r/a/", "r/c"]


def test_secrets_are_migrated_between_providers(cli, read, monkeypatch):
    monkeypatch.setenv("TRADESENSE_SECRET_MOVED__A", CANARY)
    words = ("secrets", "migrate", "--from", "env", "--to", "sql", "--prefix", "moved/")
    assert [row["step"] for row in read(*words, "--dry-run")] == ["to-copy"]
    assert [row["step"] for row in read(*words)] == ["copied"]
    assert [row["step"] for row in read(*words)] == ["same"]
    assert cli("secrets", "get", "moved/a").stdout == CANARY
    monkeypatch.setenv("TRADESENSE_SECRET_MOVED__A", "another")
    done = cli(*words)
    assert (done.exit_code, "different" in done.stdout, CANARY in done.output) == (1, True, False)
    assert cli("secrets", "migrate", "--from", "sql", "--to", "sql").exit_code == 1


def test_a_migration_that_ends_early_lists_what_it_did(cli, place, monkeypatch):
    for name in "AB":
        monkeypatch.setenv(f"TRADESENSE_SECRET_MOVED__{name}", CANARY)
    (file,) = (place / "var").glob("*.db")
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON secrets WHEN NEW.path = 'moved/b'"
            " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    done = cli("secrets", "migrate", "--from", "env", "--to", "sql", "-o", "json")
    assert (done.exit_code != 0, CANARY in done.output) == (True, False)
    assert [(row["path"], row["step"]) for row in json.loads(done.stdout)] == [("moved/a", "copied")]


def test_a_chain_says_which_provider_answered(read, monkeypatch):
    read("secrets", "put", "chained/a", "--stdin", stdin=b"kept")
    monkeypatch.setenv("TRADESENSE_SECRET_CHAINED__B", "from a variable")
    monkeypatch.setenv("TRADESENSE_SECRETS__CHAIN", '["sql", "env"]')
    assert read("secrets", "get", "chained/a")["provider"] == "sql"
    assert read("secrets", "get", "chained/b")["provider"] == "env"
    assert [row["path"] for row in read("secrets", "list", "chained/")] == ["chained/a", "chained/b"]


def test_R62_the_trail_tells_whether_two_writes_had_one_value_and_no_value(read):
    for path, value in (("h/a", CANARY), ("h/a", "another")):
        read("secrets", "put", path, "--stdin", stdin=value)
    read("secrets", "rollback", "h/a", "1")
    rows = read("audit", "tail", "--action", "secrets.*")
    first, other, back = (row["detail"]["value_hmac"] for row in rows)
    assert first == back != other
    assert CANARY not in json.dumps(rows)


KEY = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="


@pytest.fixture
def tokens(place):
    """Two files of tokens of another system: by a key, and by a passphrase."""
    made = base64.urlsafe_b64encode(hashlib.pbkdf2_hmac("sha256", b"correct horse", b"salt_", 1000, 32))
    for name, key in (("by-key", KEY), ("by-passphrase", made)):
        sealed = {f"old/{path}": Fernet(key).encrypt(CANARY.encode()).decode() for path in "ab"}
        (place / f"{name}.json").write_text(json.dumps(sealed))
    (place / "keys").write_text(f"{Fernet.generate_key().decode()}\n{KEY}\n")
    (place / "passphrase").write_text("correct horse\n")


@pytest.mark.usefixtures("tokens")
def test_fernet_tokens_of_another_system_are_imported(cli, read):
    words = ("secrets", "import-fernet", "by-key.json", "--keys-file", "keys")
    assert [row["step"] for row in read(*words, "--dry-run")] == ["to-copy", "to-copy"]
    assert [row["step"] for row in read(*words, "--prefix", "old/a")] == ["copied"]
    assert [row["step"] for row in read(*words)] == ["same", "copied"]
    assert cli("secrets", "get", "old/b").stdout == CANARY
    derived = ("--passphrase-file", "-", "--salt", "salt_", "--rounds", "1000")
    found = read("secrets", "import-fernet", "by-passphrase.json", *derived, stdin="correct horse\n")
    assert [row["step"] for row in found] == ["same", "same"]


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--passphrase-file", "passphrase"), 1, "no key opens the token of 'old/a'"),
        (("--keys-file", "passphrase"), 78, "secrets.fernet.keys.line-1"),
        ((), 78, "nothing is there to open the tokens with"),
        (("--keys-file", "absent"), 2, "absent"),
        (("--keys-file", "keys", "--to", "env"), 1, "read-only"),
    ],
)
def test_what_cannot_be_imported_is_told_without_a_key(cli, words, code, told):
    done = cli("secrets", "import-fernet", "by-key.json", *words, "-o", "json")
    assert done.exit_code == code, done.output
    assert told in done.output
    assert not any(word in done.output for word in (KEY, "correct horse", CANARY))


@pytest.mark.parametrize(("setting", "chosen"), [("provider", "env"), ("chain", "env,memory")])
def test_a_policy_for_a_provider_that_cannot_rotate_is_refused_at_the_start(bare, setting, chosen):
    wanted = {"ROTATION__DATABASE__PATH": "a/db", "ROTATION__DATABASE__EVERY": "3600", setting.upper(): chosen}
    done = bare("secrets", "rotations", env={f"TRADESENSE_SECRETS__{name}": value for name, value in wanted.items()})
    assert done.exit_code == 78, done.output
    for words in ("secrets.rotation.database", "cannot rotate", f"secrets.{setting}", "leave the policy out"):
        assert words in done.output


def test_rotations_show_what_is_due_and_what_is_not_there(cli):
    policies = {"A__PATH": "a/db", "A__EVERY": "3600", "B__PATH": "b/absent", "B__EVERY": "3600"}
    env = {f"TRADESENSE_SECRETS__ROTATION__{name}": value for name, value in policies.items()}
    assert cli("secrets", "put", "a/db", "--stdin", stdin="x").exit_code == 0
    assert cli("secrets", "rotate", "a/db", env=env).exit_code == 0
    done = cli("secrets", "rotations", "-o", "json", env=env)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [(row["path"], row["overdue"], row["unknown"]) for row in rows] == [
        ("a/db", False, ""),
        ("b/absent", True, ""),
    ]
    assert rows[0]["due_at"]
    broken = {"TRADESENSE_SECRETS__LOCAL__ROOT_KEY": base64.urlsafe_b64encode(bytes(32)).decode()}
    done = cli("secrets", "rotations", "-o", "json", env=env | broken)
    assert done.exit_code == 1, done.output
    assert [bool(row["unknown"]) for row in json.loads(done.stdout)] == [True, False]
