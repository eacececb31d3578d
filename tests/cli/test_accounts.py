from __future__ import annotations

import json

EMAIL, ADMIN = "ada@example.org", "admin@example.org"
PASSWORD = "correct horse battery staple\n"


def test_an_account_is_made_shown_disabled_enabled_exported_and_deleted(cli, read):
    assert cli("users", "create", EMAIL, "--password-stdin", stdin=PASSWORD).exit_code == 0
    shown = read("users", "show", EMAIL.upper())
    assert (shown["email"], shown["verified"], shown["disabled"]) == (EMAIL, True, False)
    assert cli("users", "disable", EMAIL).exit_code == 0
    assert read("users", "show", EMAIL)["disabled"] is True
    assert cli("users", "enable", EMAIL).exit_code == 0
    assert read("users", "show", EMAIL)["disabled"] is False
    told = json.loads(cli("users", "export", EMAIL).stdout)
    assert told["account"]["email"] == EMAIL
    assert {event["action"] for event in told["events"]} >= {"identity.create", "identity.disable", "identity.enable"}
    assert cli("users", "delete", EMAIL, stdin="n\n").exit_code != 0
    assert read("users", "show", EMAIL)["email"] == EMAIL
    assert cli("users", "delete", EMAIL, "--yes").exit_code == 0
    done = cli("users", "show", EMAIL)
    assert done.exit_code == 1
    assert "no account has this email" in done.stderr


def test_the_last_administrator_can_be_neither_disabled_nor_deleted(cli):
    assert cli("users", "create", ADMIN, "--role", "admin", "--password-stdin", stdin=PASSWORD).exit_code == 0
    for words in (["disable", ADMIN], ["delete", ADMIN, "--yes"]):
        done = cli("users", *words)
        assert done.exit_code == 1
        assert "last administrator" in done.stderr
