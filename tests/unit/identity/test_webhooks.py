"""Events for others: how they are signed, and through the outbox to whoever wants them."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from tradesense.core.audit.models import Actor
from tradesense.core.errors import ConfigurationError, InvalidInput
from tradesense.core.identity.models import Client
from tradesense.core.identity.ports import WebhookSender
from tradesense.core.identity.signatures import key_of, signature, verify
from tradesense.core.sensitive import Secret
from tradesense.core.testing import ManualClock
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

# The vector of the Standard Webhooks reference libraries.
VECTOR = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
VECTOR_ID, VECTOR_TIME = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

ONE = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
ACTOR = Actor(kind="operator", id="ada")
PASSWORD = Secret("a long enough pass phrase")


def headers(**more):
    given = {
        "webhook-id": VECTOR_ID,
        "webhook-timestamp": str(VECTOR_TIME),
        "webhook-signature": VECTOR_SIGNATURE,
    }
    return {**given, **{name.replace("_", "-"): value for name, value in more.items()}}


def test_R59_the_reference_vector_is_signed_as_the_reference_signs_it():
    assert signature(key_of(VECTOR), VECTOR_ID, VECTOR_TIME, VECTOR_BODY) == VECTOR_SIGNATURE
    verify([key_of(VECTOR)], headers(), VECTOR_BODY, now=VECTOR_TIME)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_R59_a_message_of_these_minutes_is_taken(seconds):
    verify([key_of(VECTOR)], headers(), VECTOR_BODY, now=VECTOR_TIME + seconds)


@pytest.mark.parametrize(
    ("changed", "body", "seconds"),
    [
        ({}, VECTOR_BODY, 301),
        ({}, VECTOR_BODY, -301),
        ({}, VECTOR_BODY + b" ", 0),
        ({"webhook_id": "msg_other"}, VECTOR_BODY, 0),
        ({"webhook_timestamp": str(VECTOR_TIME + 1)}, VECTOR_BODY, 0),
        ({"webhook_timestamp": "hello"}, VECTOR_BODY, 0),
        ({"webhook_timestamp": ""}, VECTOR_BODY, 0),
        ({"webhook_id": ""}, VECTOR_BODY, 0),
        ({"webhook_signature": ""}, VECTOR_BODY, 0),
        ({"webhook_signature": VECTOR_SIGNATURE.replace("v1,", "v2,")}, VECTOR_BODY, 0),
        ({"webhook_signature": "v1,bm8gbm8gbm8="}, VECTOR_BODY, 0),
    ],
)
def test_R59_anything_else_is_refused(changed, body, seconds):
    with pytest.raises(InvalidInput):
        verify([key_of(VECTOR)], headers(**changed), body, now=VECTOR_TIME + seconds)


def test_R59_one_right_signature_among_several_is_enough():
    many = headers(webhook_signature=f"v1,bm8gbm8gbm8= {VECTOR_SIGNATURE} v2,x")
    verify([bytes(32), key_of(VECTOR)], many, VECTOR_BODY, now=VECTOR_TIME)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_AAAA", "no base64!", "whsec_" + "A" * 100])
def test_R59_a_short_or_long_or_malformed_secret_is_refused(text):
    with pytest.raises(ConfigurationError):
        key_of(Secret(text))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def services(clock, tmp_path):
    env = {
        "ENVIRONMENT": "testing",
        "TRADESENSE_IDENTITY__WEBHOOK_SENDER": "memory",
        "TRADESENSE_IDENTITY__WEBHOOKS__AUDITOR__URL": "https://auditor.example.org/events",
        "TRADESENSE_IDENTITY__WEBHOOKS__AUDITOR__SECRET": ONE,
        "TRADESENSE_IDENTITY__WEBHOOKS__AUDITOR__NEXT_SECRET": OTHER,
        "TRADESENSE_IDENTITY__WEBHOOKS__LOGINS__URL": "https://logins.example.org/",
        "TRADESENSE_IDENTITY__WEBHOOKS__LOGINS__SECRET": OTHER,
        "TRADESENSE_IDENTITY__WEBHOOKS__LOGINS__EVENTS": '["identity.login"]',
    }
    async with open_container(load(env, directory=tmp_path).settings, clock=clock) as services:
        yield services


def sender_of(services) -> WebhookSender:
    return services.webhooks._sender


async def delivered(services, count):
    """Let the relay and a worker run until so many webhooks were sent."""
    sent = sender_of(services).sent
    work = [asyncio.create_task(services.relay.run()), asyncio.create_task(services.jobs.work())]
    async with asyncio.timeout(20):
        while len(sent) < count:  # noqa: ASYNC110  # the sender has no event to wait for
            await asyncio.sleep(0.01)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    return list(sent)


async def test_R59_each_event_reaches_who_wants_it_signed_with_every_secret(services, clock):
    await services.accounts.create("ada@example.org", PASSWORD, roles=("user",), actor=ACTOR)
    await services.sessions.login("ada@example.org", PASSWORD, client=Client(), actor=ACTOR)
    sent = await delivered(services, 3)
    told = sorted((url, json.loads(body)["type"]) for url, _, body in sent)
    assert told == [
        ("https://auditor.example.org/events", "identity.create"),
        ("https://auditor.example.org/events", "identity.login"),
        ("https://logins.example.org/", "identity.login"),
    ]
    for url, given, body in sent:
        secrets = [ONE, OTHER] if "auditor" in url else [OTHER]
        for secret in secrets:
            verify([key_of(Secret(secret))], given, body, now=clock.now().timestamp())
        assert len(given["webhook-signature"].split(" ")) == len(secrets)
        assert PASSWORD.reveal() not in body.decode()
    assert len({given["webhook-id"] for _, given, _ in sent}) == 2, "one event has one id, whoever is told of it"


async def test_R59_what_is_rolled_back_is_told_to_nobody(services):
    async def roll_back():
        async with services.transactions.begin():
            await services.accounts.create("ada@example.org", PASSWORD, roles=("user",), actor=ACTOR)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await roll_back()
    await services.accounts.create("eve@example.org", PASSWORD, roles=("user",), actor=ACTOR)
    (only,) = await delivered(services, 1)
    assert json.loads(only[2])["type"] == "identity.create"


async def test_R59_what_is_not_taken_is_sent_again_under_the_same_id(services):
    sender_of(services).status = 500
    await services.accounts.create("ada@example.org", PASSWORD, roles=("user",), actor=ACTOR)
    sent = await delivered(services, 2)
    assert len({given["webhook-id"] for _, given, _ in sent}) == 1
