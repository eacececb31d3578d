"""A served platform for the tests over sockets, and an application in the process for those that break something."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from talking import Administrator, Person, Talker

from platform_process import serving as served
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

MANY_LOGINS = {
    "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_ADDRESS": "100000",
    # However long a busy machine takes for a few guesses, the one after them has to wait.
    "TRADESENSE_IDENTITY__POLICY__LOGIN_DELAY": "120",
}


@pytest.fixture(scope="session")
def server():
    env = {
        **MANY_LOGINS,
        "TRADESENSE_TELEMETRY__LOG_FORMAT": "json",
        "TRADESENSE_HTTP__ALLOWED_ORIGINS": '["https://app.example.org"]',
    }
    with served(env) as server:
        yield server


@pytest.fixture(scope="session")
def administrator(server):
    return Administrator(server)


@pytest.fixture
def admin_token(administrator):
    return administrator.token


@pytest.fixture
def anyone(server):
    with Talker(server.url) as talker:
        yield talker


@pytest.fixture
def admin(server, admin_token):
    with Talker(server.url, bearer=admin_token) as talker:
        yield talker


@pytest.fixture
def person(server):
    """Somebody who has signed up and logged in by cookie."""
    with Person(server.url, f"p-{secrets.token_hex(6)}@example.org") as person:
        person.sign_up()
        person.log_in()
        yield person


@pytest.fixture
async def services(tmp_path):
    loaded = load({"ENVIRONMENT": "testing"}, directory=tmp_path)
    async with open_container(loaded.settings, plugins=loaded.plugins) as services:
        yield services
