from __future__ import annotations

import asyncio
import json
import os

from tradesense.core.audit.models import Actor
from tradesense.core.identity.models import Client
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

EMAIL, ADMIN = "ada@example.org", "admin@example.org"
SOMEBODY = Actor(kind="anonymous")
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


async def logged_in(times):
    """Sessions of the account in the database of the working directory; their ids."""
    settings = load(dict(os.environ)).settings
    async with open_container(settings) as services:
        return [
            (
                await services.sessions.login(
                    EMAIL, Secret(PASSWORD.strip()), client=Client(address="192.0.2.7"), actor=SOMEBODY
                )
            ).session.id
            for _ in range(times)
        ]


def test_R20_an_operator_sees_a_users_sessions_and_ends_one_or_all(cli, read):
    assert cli("users", "create", EMAIL, "--password-stdin", stdin=PASSWORD).exit_code == 0
    first, *others = asyncio.run(logged_in(3))
    listed = read("users", "sessions", EMAIL)
    assert {one["id"] for one in listed} == {first, *others}
    assert {(one["address"], tuple(one["methods"])) for one in listed} == {("192.0.2.7", ("pwd",))}
    assert "1 session is ended" in cli("users", "logout", EMAIL, "--session", first).stderr
    assert {one["id"] for one in read("users", "sessions", EMAIL)} == set(others)
    again = cli("users", "logout", EMAIL, "--session", first)
    assert (again.exit_code, again.stderr) == (1, cli("users", "logout", EMAIL, "--session", "nothing").stderr)
    assert "2 sessions are ended" in cli("users", "logout", EMAIL).stderr
    assert read("users", "sessions", EMAIL) == []
    told = [row["action"] for row in read("audit", "tail") if row["action"].startswith("identity.session")]
    assert told == ["identity.session-end", "identity.sessions-end"]
