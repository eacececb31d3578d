"""Who is told of identity's events: listed, tried, told again, and given a new secret, over HTTP."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from talking import PASSWORD, ask

from tradesense.core.audit.models import Actor
from tradesense.core.errors import InvalidInput, WebhookRefused
from tradesense.core.identity.models import Client
from tradesense.core.identity.signatures import OVERLAP, key_of, verify
from tradesense.core.sensitive import Secret
from tradesense.core.testing import ManualClock
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.http.app import create_app
from tradesense.settings.load import load

FIRST = Secret("whsec_" + base64.b64encode(bytes(range(32))).decode())
SOMEBODY = Actor(kind="operator", id="ada")
HOOKS = "/api/v1/webhooks"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def services(clock, tmp_path):
    env = {
        "ENVIRONMENT": "testing",
        "TRADESENSE_IDENTITY__WEBHOOK_SENDER": "memory",
        "TRADESENSE_IDENTITY__WEBHOOKS__AUDITOR__URL": "https://auditor.example.org/events",
        "TRADESENSE_IDENTITY__WEBHOOKS__AUDITOR__SECRET": FIRST.reveal(),
        "TRADESENSE_IDENTITY__WEBHOOKS__AUDITOR__EVENTS": '["identity.disable"]',
    }
    async with open_container(load(env, directory=tmp_path).settings, clock=clock) as services:
        yield services


@pytest.fixture
async def call(services):
    """Call a route as somebody with these roles."""
    app = create_app(services)

    async def call(method, path, *, query=b"", role="admin"):
        email = f"{role}@example.org"
        if not any(user.email == email for user in (await services.accounts.list()).items):
            await services.accounts.create(email, Secret(PASSWORD), roles=(role,), actor=SOMEBODY)
        login = await services.sessions.login(
            email, Secret(PASSWORD), client=Client(), actor=SOMEBODY, tokens=services.tokens
        )
        bearer = f"Bearer {login.pair.access_token.reveal()}".encode()
        answer = await ask(app, method, path, headers=[(b"authorization", bearer)], query=query)
        return answer.status, json.loads(answer.body)

    return call


async def worked(services):
    """Do all that waits, until the outbox is empty."""
    while jobs := await services.jobs._outbox.take(100, 60):
        for job in jobs:
            with suppress(WebhookRefused):  # a queue would hand it out again
                await services.jobs.handle(job)
        await services.jobs._outbox.done([job.id for job in jobs])


async def test_a_webhook_is_tried_told_again_and_what_became_of_it_is_seen(services, call):
    sender = services.webhooks._sender
    assert (await call("GET", HOOKS))[1]["items"] == [
        {"name": "auditor", "url": "https://auditor.example.org/events", "events": ["identity.disable"]}
    ]
    sender.status = 500
    status, queued = await call("POST", f"{HOOKS}/auditor/test")
    assert status == 202
    await worked(services)
    sender.status = 204
    assert await call("POST", f"{HOOKS}/auditor/deliveries/{queued['id']}/redeliver") == (202, queued)
    await worked(services)
    status, page = await call("GET", f"{HOOKS}/auditor/deliveries", query=b"limit=1")
    assert status == 200
    older = (await call("GET", f"{HOOKS}/auditor/deliveries", query=f"cursor={page['cursor']}".encode()))[1]["items"]
    told = [(one["id"], one["event"], one["taken"], one["status"], one["error"]) for one in [*page["items"], *older]]
    assert told == [
        (queued["id"], "webhooks.test", True, 204, ""),
        (queued["id"], "webhooks.test", False, 500, "webhook-refused"),
    ]
    assert len({headers["webhook-id"] for _, headers, _ in sender.sent}) == 1
    assert len({body for *_, body in sender.sent}) == 1, "what is told again is what was told"
    actions = [
        (record.entry.action, record.entry.outcome, record.entry.actor.kind)
        for record in (await services.trail.read(limit=1000)).items
        if record.entry.action.startswith("webhooks.")
    ]
    assert actions == [
        ("webhooks.test", "succeeded", "user"),
        ("webhooks.deliver", "failed", "worker"),
        ("webhooks.redeliver", "succeeded", "user"),
        ("webhooks.deliver", "succeeded", "worker"),
    ]


async def test_for_a_day_after_a_rotation_both_secrets_sign(services, call, clock):
    sent = services.webhooks._sender.sent

    async def signing():
        """Which keys verify the next message."""
        await call("POST", f"{HOOKS}/auditor/test")
        await worked(services)
        _, headers, body = sent[-1]
        found = set()
        for name, secret in secrets.items():
            with suppress(InvalidInput):
                verify([key_of(secret)], headers, body, now=clock.now().timestamp())
                found.add(name)
        return found, len(headers["webhook-signature"].split(" "))

    secrets = {"first": FIRST}
    for name, expected in (("second", {"first", "second"}), ("third", {"second", "third"})):
        assert await call("POST", f"{HOOKS}/auditor/secret/rotate") == (200, {"path": "webhooks/auditor"})
        secrets[name] = (await services.secrets.get("webhooks/auditor", actor=SOMEBODY)).value
        assert await signing() == (expected, 2)
    clock.advance(OVERLAP.total_seconds())
    assert await signing() == ({"third"}, 1)


async def test_what_is_not_there_is_404_and_an_administrators_to_know(call):
    for method, path in (
        ("GET", f"{HOOKS}/nobody/deliveries"),
        ("POST", f"{HOOKS}/nobody/test"),
        ("POST", f"{HOOKS}/nobody/secret/rotate"),
        ("POST", f"{HOOKS}/auditor/deliveries/msg_unknown/redeliver"),
    ):
        status, problem = await call(method, path)
        assert (status, problem["type"]) == (404, "urn:tradesense:problem:webhook-not-found")
    assert (await call("POST", f"{HOOKS}/auditor/test", role="user"))[0] == 403
