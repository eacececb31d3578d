"""One user and the things of another: every id of the OpenAPI document, and every body of it."""

from __future__ import annotations

import re
import secrets

import pytest
from talking import Person

ABSENT = {
    "user_id": "0192f0c1-2345-7abc-8def-0123456789ab",
    "session_id": "0192f0c1-2345-7abc-8def-0123456789ac",
    "key_id": "0192f0c1-2345-7abc-8def-0123456789ad",
    "key": "no-such-thing",
    "name": "no-such-role",
    "path": "no/such/secret",
    "topic": "no-such-topic",
    "group": "no-such-group",
    "message_id": "msg_no-such",
    "request_id": "00000000-0000-7000-8000-000000000000",
}
"""What no one has, for every parameter that the paths of the document have."""
OWNED = {"/api/v1/auth/sessions/{session_id}", "/api/v1/api-keys/{key_id}"}
"""Where everyone may reach what is their own; elsewhere it takes a permission."""
SHARED = {"/ofrep/v1/evaluate/flags/{key}"}
"""Where the thing is everybody's: flags are evaluated for whoever asks."""
MORE = ("role", "is_admin", "tenant_id")
ANYTHING_GOES = {
    "/ofrep/v1/evaluate/flags": "OFREP lets a request hold more than its server knows",
    "/ofrep/v1/evaluate/flags/{key}": "the same",
    "/api/v1/topics/{topic}/events": "CloudEvents take extensions of any name",
    "/api/v1/secrets/{path}": "a merge patch is of what the secret holds; PUT and POST are asked below",
}
UNTOLD = re.compile(r"password_hash|token_hash|key_hash|epoch|seed|_proved|is_admin|tenant")
"""What no answer has a field for."""


@pytest.fixture(scope="module")
def document(server):
    with Person(server.url, "reader@example.org") as anyone:
        return anyone.get("/schema/openapi.json").json()


@pytest.fixture
def other(server):
    with Person(server.url, f"p-{secrets.token_hex(6)}@example.org") as other:
        other.sign_up()
        other.log_in()
        yield other


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if isinstance(operation, dict) and "responses" in operation:
                yield path, method.upper(), operation


def told(answer, asked=""):
    """The answer without the names of this one request, and with a word in place of what it was asked for."""
    body = {name: value for name, value in answer.json().items() if name not in {"instance", "correlation_id"}}
    if asked:
        body["detail"] = body.get("detail", "").replace(asked, "…")
    return answer.status_code, body


def test_R48_what_is_anothers_and_what_is_not_there_answer_the_same(document, person, other, admin):
    key = person.send_proved("POST", "/api/v1/api-keys", json={"name": "mine", "scopes": ["flags:evaluate"]}).json()
    mine = person.get("/api/v1/auth/session").json()
    word = f"w{secrets.token_hex(6)}"
    foreign = {
        "user_id": mine["user"]["id"],
        "session_id": mine["session"]["id"],
        "key_id": key["id"],
        "key": word,
        "name": "admin",
        "path": f"team/{word}",
        "topic": word,
        "group": word,
        "message_id": word,
    }
    assert admin.put(f"/api/v1/settings/{word}", json={"value": 1}).status_code == 200
    assert admin.put(f"/api/v1/secrets/team/{word}", json={"value": "x"}).status_code == 200
    assert (
        admin.put(
            f"/api/v1/flags/{word}",
            json={"key": word, "variants": {"on": True, "off": False}, "default_variant": "off"},
        ).status_code
        == 200
    )
    foreign["request_id"] = admin.post(f"/api/v1/flags/{word}/changes", json={"remove": True}).json()["id"]
    seen = 0
    for path, method, operation in operations(document):
        names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
        if not names:
            continue
        assert set(names) <= set(ABSENT), f"{path} names a thing that this test does not know"
        if path in SHARED:
            continue
        body = {"json": {}} if "requestBody" in operation else {}
        answers = [
            told(other.send_proved(method, path.format(**ids), **body), ids[names[0]])
            for ids in (foreign, {**foreign, **ABSENT})
        ]
        assert answers[0] == answers[1], f"{method} {path}"
        assert answers[0][0] == (404 if path in OWNED else 403), f"{method} {path}"
        seen += 1
    assert seen > 30
    assert person.get("/api/v1/auth/session").json() == mine
    assert [one["id"] for one in person.get("/api/v1/api-keys").json()["items"]] == [key["id"]]
    assert admin.get(f"/api/v1/users/{foreign['user_id']}").json()["roles"] == ["user"]


def test_R48_R20_a_session_is_found_under_its_user_alone(person, other, admin):
    mine, theirs = (one.get("/api/v1/auth/session").json() for one in (person, other))
    sessions = f"/api/v1/users/{mine['user']['id']}/sessions"
    answers = [
        told(admin.delete(f"{sessions}/{one}")) for one in (theirs["session"]["id"], ABSENT["session_id"], "x" * 300)
    ]
    assert answers[0][0] == 404
    assert answers[0] == answers[1] == answers[2]
    assert other.get("/api/v1/auth/session").status_code == 200
    assert admin.delete(f"{sessions}/{mine['session']['id']}").status_code == 204
    assert person.get("/api/v1/auth/session").status_code == 401
    assert other.get("/api/v1/auth/session").status_code == 200


def test_R48_no_body_takes_a_field_that_it_has_not(document, admin):
    """Every body of the document, with each of the fields that would make a caller more than they are."""
    asked = 0
    for path, method, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            continue
        if path in ANYTHING_GOES and (method == "PATCH" or not path.startswith("/api/v1/secrets")):
            continue
        for field in MORE:
            answer = admin.request(method, path.format(**ABSENT), json={field: "admin"})
            assert answer.status_code == 400, f"{method} {path}: {answer.text}"
            assert field in answer.text or path == "/api/v1/secrets/{path}", f"{method} {path}: {answer.text}"
        asked += 1
    assert asked > 25


def test_R48_no_answer_has_a_field_for_what_stays_inside(document):
    schemas = document["components"]["schemas"]
    names = {name for schema in schemas.values() for name in schema.get("properties", {})}
    assert len(names) > 100
    assert not {name for name in names if UNTOLD.search(name)}
