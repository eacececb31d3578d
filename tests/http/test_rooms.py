"""Each room over HTTP: secrets, flags by OFREP and by hand, config, cache, audit, plugins."""

from __future__ import annotations

import base64
import secrets

import pytest

from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http.secret_shapes import shown

INVALID_PARAMETER = "urn:tradesense:problem:invalid-parameter"
LISTS = ["secrets", "users", "flags", "settings", "audit"]


@pytest.fixture
def name():
    return f"t-{secrets.token_hex(6)}"


def test_a_secret_is_written_read_and_deleted(admin, name):
    path = f"/api/v1/secrets/{name}/db/password"
    assert admin.get(path).status_code == 404
    assert admin.put(path, json={"value": "first", "cas": 0}).json() == {"version": 1, "provider": "sql"}
    assert admin.put(path, json={"value": "second", "cas": 1}).json()["version"] == 2
    read = admin.get(path)
    assert read.json()["value"] == "second"
    assert read.json()["version"] == 2
    assert read.json()["provider"] == "sql"
    assert read.headers["cache-control"] == "no-store"
    assert admin.get(path, params={"version": 1}).json()["value"] == "first"
    assert admin.get(path, params={"version": 9}).status_code == 404
    for version in (0, -1, "one", "1.5", 2**31, 2**63, 2**64, "1" * 5000):
        refused = admin.get(path, params={"version": version})
        assert (refused.status_code, refused.json()["type"]) == (400, INVALID_PARAMETER), version
        assert refused.json()["errors"][0]["path"] == "version"
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404
    assert admin.delete(path).status_code == 404


def test_a_secret_that_moved_on_is_409(admin, name):
    path = f"/api/v1/secrets/{name}"
    admin.put(path, json={"value": "x"})
    answer = admin.put(path, json={"value": "y", "cas": 7})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:tradesense:problem:secret-conflict"


@pytest.mark.parametrize("path", ["a b", ".hidden", "a/../b", "a/./b", "%00", "é", "a" * 600])
def test_a_path_outside_the_grammar_is_400(admin, path):
    answer = admin.get(f"/api/v1/secrets/{path}")
    assert answer.status_code in {400, 404}
    assert "value" not in answer.json()


def test_paths_are_listed_a_page_at_a_time(admin, name):
    for number in range(5):
        admin.put(f"/api/v1/secrets/{name}/s{number}", json={"value": "x"})
    first = admin.get("/api/v1/secrets", params={"prefix": f"{name}/", "limit": 3}).json()
    second = admin.get("/api/v1/secrets", params={"prefix": f"{name}/", "limit": 3, "cursor": first["cursor"]}).json()
    assert first["items"] + second["items"] == [f"{name}/s{number}" for number in range(5)]
    assert second["cursor"] is None


@pytest.mark.parametrize("room", LISTS)
@pytest.mark.parametrize("limit", ["0", "-1", "1001", "1e9", "1.5", "ten", "", " 5", "0x5", "9" * 400])
def test_a_limit_is_a_whole_number_from_1_to_1000(admin, room, limit):
    answer = admin.get(f"/api/v1/{room}", params={"limit": limit})
    assert (answer.status_code, answer.json()["type"]) == (400, INVALID_PARAMETER)
    assert answer.json()["errors"][0]["path"] == "limit"


@pytest.mark.parametrize("room", LISTS)
def test_a_page_has_1_to_1000_items(admin, room):
    assert len(admin.get(f"/api/v1/{room}", params={"limit": 1}).json()["items"]) <= 1
    assert admin.get(f"/api/v1/{room}", params={"limit": 1000}).status_code == 200


@pytest.mark.parametrize("room", LISTS)
@pytest.mark.parametrize(
    "cursor", ["", "\0", "a\0b", "a\n", "\u00e9", "!!!", "../..", "x y", "%", "~" * 513, "a" * 20_000]
)
def test_a_cursor_that_the_list_did_not_give_out_is_400(admin, room, cursor):
    answer = admin.get(f"/api/v1/{room}", params={"cursor": cursor})
    assert answer.status_code in ({400, 414} if len(cursor) > 8192 else {400})
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    ("path", "name"), [("secrets", "prefix"), ("settings", "prefix"), ("users", "role"), ("audit", "subject")]
)
def test_what_is_looked_for_is_text_without_control_characters(admin, path, name):
    for text in ("\0", "a\0", "a\n", "\x7f"):
        assert admin.get(f"/api/v1/{path}", params={name: text}).status_code == 400


def test_a_cursor_of_another_folder_is_400(admin, name):
    admin.put(f"/api/v1/secrets/{name}/a", json={"value": "x"})
    answer = admin.get("/api/v1/secrets", params={"prefix": f"{name}/", "cursor": "elsewhere/a"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:tradesense:problem:invalid-input")


def test_a_value_that_is_no_text_comes_as_base64():
    value, encoding = shown(Secret(b"\xff\x00"))
    assert (base64.b64decode(value.reveal()), encoding) == (b"\xff\x00", "base64")
    text, none = shown(Secret("schlüssel"))
    assert text.reveal() == "schlüssel"
    assert not isinstance(none, str)


def test_a_value_that_is_too_large_is_400(admin, name):
    answer = admin.put(f"/api/v1/secrets/{name}", json={"value": "x" * 65_537})
    assert answer.status_code == 400
    assert answer.json()["type"].endswith("secret-too-large")


def test_R61_reading_a_secret_is_on_the_trail_without_the_value(admin, name):
    canary = f"canary-{secrets.token_hex(8)}"
    admin.put(f"/api/v1/secrets/{name}", json={"value": canary})
    cid = f"read-{name}"
    admin.get(f"/api/v1/secrets/{name}", headers={"X-Request-ID": cid})
    rows = admin.get("/api/v1/audit", params={"subject": name}).json()["items"]
    assert [row["action"] for row in rows] == ["secrets.put", "secrets.get"]
    assert rows[1]["correlation_id"] == cid
    assert rows[1]["actor"]["kind"] == "user"
    assert canary not in str(rows)


FLAG = {"variants": {"on": True, "off": False}, "default_variant": "off"}


def evaluate(client, key, context):
    return client.post(f"/ofrep/v1/evaluate/flags/{key}", json={"context": context})


def test_ofrep_answers_have_the_protocols_shapes(admin, name):
    admin.put(f"/api/v1/flags/{name}", json=FLAG)
    assert evaluate(admin, name, {"targetingKey": "u"}).json() == {
        "key": name,
        "reason": "STATIC",
        "value": False,
        "variant": "off",
    }
    rule = {"variant": "on", "conditions": [{"attribute": "plan", "operator": "in", "values": ["pro"]}]}
    admin.put(f"/api/v1/flags/{name}", json={**FLAG, "rules": [rule]})
    assert evaluate(admin, name, {"targetingKey": "u", "plan": "pro"}).json()["reason"] == "TARGETING_MATCH"
    fallback = evaluate(admin, name, {"targetingKey": "u"}).json()
    assert fallback["reason"] == "UNKNOWN", "the protocol has no DEFAULT"
    assert fallback["metadata"] == {"reason": "DEFAULT"}
    share = {"shares": [{"variant": "on", "percent": 100}]}
    admin.put(f"/api/v1/flags/{name}", json={**FLAG, "rules": [share]})
    assert evaluate(admin, name, {"targetingKey": "u"}).json()["reason"] == "SPLIT"
    missing = evaluate(admin, name, {})
    assert missing.status_code == 400
    assert missing.json()["errorCode"] == "TARGETING_KEY_MISSING"
    assert set(missing.json()) == {"key", "errorCode", "errorDetails"}
    admin.put(f"/api/v1/flags/{name}", json={**FLAG, "enabled": False})
    disabled = evaluate(admin, name, {"targetingKey": "u"}).json()
    assert disabled == {"key": name, "reason": "DISABLED", "variant": ""}, (
        "without a value the caller's own default applies"
    )


def test_ofrep_errors_have_the_protocols_shapes(admin, name):
    absent = evaluate(admin, name, {"targetingKey": "u"})
    assert absent.status_code == 404
    assert absent.json()["errorCode"] == "FLAG_NOT_FOUND"
    assert absent.json()["key"] == name
    path = f"/ofrep/v1/evaluate/flags/{name}"
    for body, code in (
        (b'{"context":', "PARSE_ERROR"),
        (b"[]", "PARSE_ERROR"),
        (b"{}", "INVALID_CONTEXT"),
        (b'{"context":"x"}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":1}}', "INVALID_CONTEXT"),
    ):
        answer = admin.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, body
        assert answer.json()["errorCode"] == code, body
        assert answer.json()["key"] == name


def test_ofrep_takes_fields_that_it_does_not_know(admin, name):
    admin.put(f"/api/v1/flags/{name}", json=FLAG)
    body = {"context": {"targetingKey": "u", "nested": {"a": [1]}}, "later": True}
    assert admin.post(f"/ofrep/v1/evaluate/flags/{name}", json=body).status_code == 200


def test_a_user_may_evaluate_and_not_administer(person, admin, name):
    admin.put(f"/api/v1/flags/{name}", json=FLAG)
    answer = person.send_proved("POST", f"/ofrep/v1/evaluate/flags/{name}", json={"context": {"targetingKey": "u"}})
    assert answer.status_code == 200
    assert person.get(f"/api/v1/flags/{name}").status_code == 403


CONDITIONAL = [("flags", FLAG), ("segments", {"included": ["u1"]}), ("settings", {"value": 1})]


@pytest.mark.parametrize(("room", "body"), CONDITIONAL)
def test_writes_hold_to_the_revision_that_the_caller_saw(admin, name, room, body):
    path = f"/api/v1/{room}/{name}"
    first = admin.put(path, json=body, headers={"If-None-Match": "*"})
    assert first.status_code == 200
    assert first.headers["etag"] == '"1"'
    again = admin.put(path, json=body, headers={"If-None-Match": "*"})
    assert again.status_code == 412
    assert again.json()["type"] == "urn:tradesense:problem:precondition-failed"
    second = admin.put(path, json=body, headers={"If-Match": '"1"'})
    assert second.headers["etag"] == '"2"'
    assert admin.put(path, json=body, headers={"If-Match": '"1"'}).status_code == 412
    assert admin.delete(path, headers={"If-Match": '"1"'}).status_code == 412
    assert admin.put(path, json=body).headers["etag"] == '"3"', "without a condition any revision is replaced"
    read = admin.get(path)
    assert read.headers["etag"] == '"3"'
    assert read.json()["revision"] == 3
    assert name in str(admin.get(f"/api/v1/{room}", params={"limit": 1000}).json())
    assert admin.delete(path, headers={"If-Match": '"3"'}).status_code == 204
    assert admin.get(path).status_code == 404
    for bad in ("1", '"x"', '"1", "2"', "*", 'W/"1"'):
        assert admin.put(path, json=body, headers={"If-Match": bad}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"variants": {}, "default_variant": "x"},
        {**FLAG, "default_variant": "none"},
        {**FLAG, "key": "another"},
        {**FLAG, "surprise": 1},
        {**FLAG, "rules": [{"variant": "none"}]},
        {**FLAG, "rules": [{"variant": "on", "conditions": [{"attribute": "a", "operator": "like", "values": ["x"]}]}]},
    ],
)
def test_a_definition_that_cannot_be_evaluated_is_400(admin, name, body):
    assert admin.put(f"/api/v1/flags/{name}", json=body).status_code == 400


def test_settings_have_a_history_and_can_be_rolled_back(admin, name):
    path = f"/api/v1/settings/{name}"
    for value in ("light", "dark"):
        admin.put(path, json={"value": value, "public": True})
    admin.delete(path)
    history = admin.get(f"{path}/history").json()["items"]
    assert [(past["revision"], past["deleted"]) for past in history] == [(1, False), (2, False), (3, True)]
    assert admin.post(f"{path}/rollback", json={"revision": 1}).json()["value"] == "light"
    assert admin.get(path).json()["revision"] == 4
    assert admin.post(f"{path}/rollback", json={"revision": 99}).status_code == 400
    for never in (admin.get(f"{path}x/history"), admin.post(f"{path}x/rollback", json={"revision": 1})):
        assert (never.status_code, never.json()["type"]) == (404, "urn:tradesense:problem:setting-not-found")


def test_public_config_is_read_by_anyone_and_not_twice(anyone, admin, name):
    admin.put(f"/api/v1/settings/{name}", json={"value": {"a": [1, None]}, "public": True})
    admin.put(f"/api/v1/settings/{name}-hidden", json={"value": "hunter2"})
    first = anyone.get("/api/v1/config")
    assert first.json()[name] == {"a": [1, None]}
    assert "hunter2" not in first.text
    etag = first.headers["etag"]
    for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = anyone.get("/api/v1/config", headers={"If-None-Match": header})
        assert again.status_code == 304, header
        assert again.content == b""
        assert again.headers["etag"] == etag
    admin.put(f"/api/v1/settings/{name}", json={"value": 2, "public": True})
    assert anyone.get("/api/v1/config", headers={"If-None-Match": etag}).status_code == 200


def test_the_cache_tells_what_it_did_and_drops_keys(admin):
    stats = admin.get("/api/v1/cache/stats").json()
    assert set(stats) >= {"hits", "misses", "stale", "avoided", "near_entries", "near_bytes", "pending", "backend_up"}
    assert admin.post("/api/v1/cache/invalidate", json={"keys": ["a", "b"]}).json() == {"removed": 0, "pending": False}
    assert admin.post("/api/v1/cache/invalidate", json={"keys": []}).status_code == 400
    assert admin.post("/api/v1/cache/invalidate", json={"keys": ["a\nb"]}).status_code == 400


def test_R62_the_trail_is_read_in_pages_and_its_chain_holds(admin, name):
    for number in range(4):
        admin.put(f"/api/v1/settings/{name}", json={"value": number})
    query = {"action": "config.*", "subject": name, "limit": 3}
    first = admin.get("/api/v1/audit", params=query).json()
    second = admin.get("/api/v1/audit", params={**query, "cursor": first["cursor"]}).json()
    rows = first["items"] + second["items"]
    assert len(rows) == 4
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    assert len(rows[0]["hash"]) == 64
    verdict = admin.post("/api/v1/audit/verify").json()
    assert verdict["ok"]
    assert verdict["checked"] >= 4


def test_plugins_say_what_won(admin):
    listing = admin.get("/api/v1/plugins").json()
    assert {"name": "sql", "distribution": "tradesense"}.items() <= next(
        plugin for plugin in listing["plugins"] if plugin["name"] == "sql"
    ).items()
    assert listing["bindings"]["secrets.SecretStore"].startswith("sql (tradesense")
    assert any(offer["port"] == "SecretStore" and offer["name"] == "vault" for offer in listing["adapters"])
