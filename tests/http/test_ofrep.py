"""OFREP over two server processes: the official client, bulk with entity tags, and streams."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from talking import Person, Talker, ask

from flagkit import condition, flag, shares, when
from platform_process import serving as served
from tradesense.core.flags.models import Flag
from tradesense.entrypoints.http.app import create_app

SUBJECT = {"context": {"targetingKey": "u"}}
FLAG = {"variants": {"on": True, "off": False}, "default_variant": "off"}
WITHIN = 1.0
PATIENCE = 15.0
"""Seconds that a busy machine may take for what should take one."""


@pytest.fixture(scope="module")
def pair():
    with served({}, "--processes", "2") as server:
        yield server


@pytest.fixture(scope="module")
def token(pair):
    with Talker(pair.url) as talker:
        body = {"email": pair.admin_email, "password": pair.admin_password, "mode": "token"}
        return talker.post("/api/v1/auth/login", json=body).json()["access_token"]


@pytest.fixture
def admin(pair, token):
    with Talker(pair.url, bearer=token) as talker:
        yield talker


def eventually(holds, seconds=PATIENCE):
    until = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < until, "not in time"
        threading.Event().wait(0.02)
    return found


def test_the_official_provider_works_unchanged_and_sees_a_change_within_a_second(pair, admin, token):
    from openfeature.contrib.provider.ofrep import OFREPProvider  # noqa: PLC0415  # only this test needs it
    from openfeature.evaluation_context import EvaluationContext  # noqa: PLC0415  # the same
    from openfeature.exception import FlagNotFoundError, TypeMismatchError  # noqa: PLC0415  # the same

    values = {
        "boolean": (True, False),
        "string": ("hi", "bye"),
        "integer": (1, 2),
        "float": (0.5, 1.5),
        "object": ({"a": [1]}, {"b": 2}),
    }
    for kind, (first, second) in values.items():
        rule = {"conditions": [{"attribute": "plan", "operator": "in", "values": ["pro"]}], "variant": "b"}
        body = {"variants": {"a": first, "b": second}, "default_variant": "a", "rules": [rule]}
        assert admin.put(f"/api/v1/flags/of-{kind}", json=body).status_code == 200
    provider = OFREPProvider(pair.url, headers_factory=lambda: {"Authorization": f"Bearer {token}"}, timeout=20)
    free, pro = (EvaluationContext("u", {"plan": plan}) for plan in ("free", "pro"))
    resolve = {kind: getattr(provider, f"resolve_{kind}_details") for kind in values}
    for kind, (first, second) in values.items():
        eventually(lambda kind=kind, first=first: resolve[kind](f"of-{kind}", second, free).value == first)  # noqa: B023  # called at once
        answer = resolve[kind](f"of-{kind}", first, pro)
        assert (answer.value, answer.variant, answer.reason) == (second, "b", "TARGETING_MATCH")
    with pytest.raises(FlagNotFoundError):
        provider.resolve_boolean_details("absent", False, free)
    with pytest.raises(TypeMismatchError):
        provider.resolve_boolean_details("of-string", False, free)
    admin.put("/api/v1/flags/of-boolean", json={**FLAG, "enabled": False})
    until = time.monotonic() + WITHIN + PATIENCE
    seen = []
    while seen[-8:] != ["DISABLED"] * 8:  # both processes answer in turn
        seen.append(provider.resolve_boolean_details("of-boolean", True, free).reason)
        assert time.monotonic() < until, seen
    assert provider.resolve_boolean_details("of-boolean", True, free).value is True
    provider.session.close()


def test_bulk_evaluation_has_an_entity_tag_that_changes_with_the_answer(admin):
    admin.put("/api/v1/flags/bulk-a", json={**FLAG, "rules": [{"shares": [{"variant": "on", "percent": 50}]}]})
    path = "/ofrep/v1/evaluate/flags"

    def has():
        answer = admin.post(path, json=SUBJECT)
        return answer if any(one["key"] == "bulk-a" for one in answer.json()["flags"]) else None

    first = eventually(has)
    body = first.json()
    assert body["eventStreams"][0]["endpoint"]["requestUri"] == "/ofrep/v1/events"
    assert [one["key"] for one in body["flags"]] == sorted(one["key"] for one in body["flags"])
    same = eventually(
        lambda: (
            (a := admin.post(path, json=SUBJECT, headers={"If-None-Match": first.headers["etag"]})).status_code == 304
            and a
        )
    )
    assert same.content == b""
    assert same.headers["etag"] == first.headers["etag"]
    admin.put("/api/v1/flags/bulk-b", json=FLAG)
    eventually(
        lambda: admin.post(path, json=SUBJECT, headers={"If-None-Match": first.headers["etag"]}).status_code == 200
    )
    nobody = admin.post(path, json={"context": {}})
    assert nobody.status_code == 200
    failed = next(one for one in nobody.json()["flags"] if one["key"] == "bulk-a")
    assert failed["errorCode"] == "TARGETING_KEY_MISSING"


def test_a_stream_says_within_a_second_that_the_flags_have_changed(pair, admin, token):
    parts = urlsplit(pair.url)
    connection = HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
    connection.request("GET", "/ofrep/v1/events", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.getheader("content-type").startswith("text/event-stream")
    assert answer.readline() == b": ready\n"
    admin.put("/api/v1/flags/streamed", json=FLAG)
    lines = []
    while not lines or not lines[-1].startswith(b"data: "):
        lines.append(answer.readline())
    event = json.loads(lines[-1].removeprefix(b"data: "))
    assert event["type"] == "refetchEvaluation"
    assert lines[-2] == f"id: {event['etag']}\n".encode()
    answer.close()
    connection.close()


def test_it_needs_the_permission_and_says_so(pair):
    with Talker(pair.url) as nobody:
        for method, path in (
            ("POST", "/ofrep/v1/evaluate/flags/x"),
            ("POST", "/ofrep/v1/evaluate/flags"),
            ("GET", "/ofrep/v1/events"),
        ):
            answer = nobody.request(method, path, json=SUBJECT)
            assert answer.status_code == 401
            assert "WWW-Authenticate" in answer.headers
        assert nobody.post("/ofrep/v1/evaluate/flags", json=SUBJECT, headers={"X-API-Key": "wrong"}).status_code == 401


def test_an_api_key_is_taken_as_bearer_and_in_its_own_header(pair):
    with Person(pair.url, pair.admin_email, pair.admin_password) as person:
        person.log_in()
        made = person.send_proved("POST", "/api/v1/api-keys", json={"name": "a key", "scopes": ["flags:evaluate"]})
    key = made.json()["key"]
    with Talker(pair.url) as talker:
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
            assert talker.post("/ofrep/v1/evaluate/flags", json=SUBJECT, headers=headers).status_code == 200
            assert talker.get("/api/v1/flags", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"[]", "PARSE_ERROR"),
        (b"{}", "INVALID_CONTEXT"),
        (b'{"context": []}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"),
    ],
)
def test_what_is_wrong_with_a_request_has_the_protocols_code(admin, body, code):
    for path in ("/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/x"):
        answer = admin.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.json()["errorCode"] == code
        assert answer.json()["errorDetails"]


def test_unknown_flags_and_paths_are_told_apart(admin):
    answer = admin.post("/ofrep/v1/evaluate/flags/absent", json=SUBJECT)
    assert (answer.status_code, answer.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
    for path in ("/ofrep/v1/evaluate/flags/a/b", "/ofrep/v1/evaluate/flagsx"):
        answer = admin.post(path, json=SUBJECT)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("application/problem+json")
    assert admin.get("/ofrep/v1/evaluate/flags").status_code == 405
    assert admin.post("/ofrep/v1/evaluate/flags/%FF", json=SUBJECT).status_code in {400, 404}


async def test_F24_hostile_contexts_and_rules_never_fail_a_request(services):
    """Also where they came into the store past the service."""
    store = services.flags._definitions._stores.flags
    evil: list[Flag] = [
        flag(when(condition("matches", "(a+)+$")), key="pattern"),
        flag(when(condition("matches", "(")), key="broken"),
        flag(when(shares=shares(on=50)), key="split"),
        flag(*[when(condition("in", "x"))] * 300, key="many"),
        flag(when(condition("in_segment", "nowhere")), key="nowhere"),
        flag(targeting={"nonsense": [1]}, key="logic"),
        flag(when(variant="absent"), key="variant"),
    ]
    for one in evil:
        await store.put(one)
    app = create_app(services)
    contexts = [
        {"targetingKey": "a" * 100_000},
        {"targetingKey": "u", "a": "a" * 100_000 + "!"},
        {"targetingKey": "u", "a": {"b": [1, 2, {"c": None}]}},
        {"a": 10**300},
        {},
    ]

    async def allowed(*_):
        return None

    for context in contexts:
        for path in ["/ofrep/v1/evaluate/flags", *(f"/ofrep/v1/evaluate/flags/{one.key}" for one in evil)]:
            answer = await ask(app, "POST", path, body={"context": context})
            assert answer.status == 401, "nobody is asked who may not ask"
    for context in contexts:
        for one in await services.flags.evaluate_all(context):
            assert one.error_code is None or one.value is None
