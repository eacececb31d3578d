"""Platforms that are served for the tests of accounts: one process on SQLite, and two on PostgreSQL and Valkey."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest

import servers
import sqldatabases
from platform_process import serving

sys.path.insert(0, str(Path(__file__).parents[1] / "http"))
sys.path.insert(0, str(Path(__file__).parent))

from mailbox import Mailbox  # it lies beside

from talking import Administrator, Person, Talker

from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

MANY = {
    "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_ADDRESS": "100000",
    "TRADESENSE_IDENTITY__POLICY__MAILS_PER_ACCOUNT": "20",
    "TRADESENSE_IDENTITY__RETURN_TO": '["https://app.example.org/welcome"]',
    "TRADESENSE_HTTP__ALLOWED_ORIGINS": '["https://app.example.org"]',
    # However long a busy machine takes for a few guesses, the one after them has to wait.
    "TRADESENSE_IDENTITY__POLICY__LOGIN_DELAY": "120",
    "TRADESENSE_TELEMETRY__LOG_FORMAT": "json",
}
PLACES = ("sqlite", "postgresql")


@pytest.fixture(scope="session", params=PLACES)
def place(request):
    """A served platform."""
    if request.param == "sqlite":
        with serving(MANY) as server:
            yield server
        return
    postgres, valkey = request.getfixturevalue("postgres"), request.getfixturevalue("valkey")
    number = servers.next_number("valkey") % (valkey.databases - 1) + 1
    with sqldatabases.postgresql_database(postgres) as url:
        env = {
            **MANY,
            "DATABASE_URL": url,
            "REDIS_URL": valkey.url(number),
            "TRADESENSE_JOBS__EMBEDDED": "true",
        }
        with serving(env, "--processes", "2") as server:
            server.database_url, server.redis_url = url, valkey.url(number)
            yield server
    valkey.command("FLUSHDB", db=number)


@pytest.fixture
def server(place):
    """The same, by the name that it has where nothing of the place matters."""
    return place


@pytest.fixture
def mailbox(place):
    """What the platform has sent."""
    return Mailbox(place)


@pytest.fixture
def anyone(place):
    with Talker(place.url) as talker:
        yield talker


@pytest.fixture
def person(place):
    """Somebody who has signed up and logged in by cookie."""
    with Person(place.url, f"p-{secrets.token_hex(6)}@example.org") as person:
        person.sign_up()
        person.log_in()
        yield person


@pytest.fixture(scope="session")
def administrator(place):
    return Administrator(place)


@pytest.fixture
def admin_token(administrator):
    return administrator.token


@pytest.fixture
def admin(place, admin_token):
    with Talker(place.url, bearer=admin_token) as talker:
        yield talker


@pytest.fixture(params=PLACES)
def database(request, tmp_path):
    """A database with tables."""
    if request.param == "sqlite":
        yield sqldatabases.sqlite_url(tmp_path)
        return
    with sqldatabases.postgresql_database(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture
async def services(database, tmp_path):
    """A platform in the process, its accounts in a database."""
    env = {"ENVIRONMENT": "testing", "DATABASE_URL": database, "TRADESENSE_IDENTITY__MESSENGER": "memory"}
    for room in ("IDENTITY__PROVIDER", "AUDIT__PROVIDER", "JOBS__OUTBOX"):
        env[f"TRADESENSE_{room}"] = "sql"
    loaded = load(env, directory=tmp_path)
    async with open_container(loaded.settings, plugins=loaded.plugins) as services:
        yield services
