"""`tradesense webhooks`: who is told, what became of it, telling once more, and a new secret."""

from __future__ import annotations

import asyncio
import base64
import json
import os

import pytest

from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
AUDITOR = {
    "TRADESENSE_IDENTITY__WEBHOOK_SENDER": "memory",
    "TRADESENSE_IDENTITY__WEBHOOKS__AUDITOR__URL": "https://auditor.example.org/events",
    "TRADESENSE_IDENTITY__WEBHOOKS__AUDITOR__SECRET": SECRET,
    "TRADESENSE_IDENTITY__WEBHOOKS__AUDITOR__EVENTS": '["identity.disable"]',
}


@pytest.fixture
def hooks(cli, monkeypatch):
    """Run a command of webhooks that must succeed, and return what it prints as JSON."""
    for name, value in AUDITOR.items():
        monkeypatch.setenv(name, value)

    def run(*words):
        done = cli("webhooks", *words, "-o", "json")
        assert done.exit_code == 0, done.output
        assert SECRET not in done.output
        return json.loads(done.stdout)

    return run


def work_off():
    """Do what waits in the outbox, as a worker would."""

    async def work():
        async with open_container(load(dict(os.environ)).settings) as services:
            while jobs := await services.jobs._outbox.take(100, 60):
                for job in jobs:
                    await services.jobs.handle(job)
                await services.jobs._outbox.done([job.id for job in jobs])

    asyncio.run(work())


def test_a_webhook_is_listed_tried_and_told_once_more(hooks):
    assert hooks("list") == [
        {
            "name": "auditor",
            "url": AUDITOR["TRADESENSE_IDENTITY__WEBHOOKS__AUDITOR__URL"],
            "events": ["identity.disable"],
        }
    ]
    assert hooks("deliveries", "auditor") == []
    message = hooks("test", "auditor")["id"]
    assert hooks("deliveries", "auditor") == [], "it waits for a worker"
    work_off()
    (first,) = hooks("deliveries", "auditor")
    assert (first["id"], first["taken"], first["attempt"]) == (message, True, 1)
    assert hooks("redeliver", "auditor", message)["id"] == message
    work_off()
    again, before = hooks("deliveries", "auditor")
    assert (again["id"], before) == (message, first)
    assert len(hooks("deliveries", "auditor", "-n", "1")) == 1


def test_a_new_secret_is_where_secrets_are_read_and_not_printed(hooks, cli):
    path = hooks("rotate", "auditor")["path"]
    made = cli("secrets", "get", path).stdout
    assert "whsec_" in made
    assert SECRET not in made
    assert '"webhooks.rotate"' in cli("audit", "tail", "-o", "json").stdout


def test_who_is_not_in_the_settings_is_refused_by_name(cli):
    for words in (("deliveries", "nobody"), ("redeliver", "nobody", "msg_x")):
        done = cli("webhooks", *words)
        assert done.exit_code == 1
        assert "nobody" in done.stderr
        assert "Traceback" not in done.output
