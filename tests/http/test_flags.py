"""Administering flags: explained, previewed, switched, and refused with the path of each fault."""

from __future__ import annotations

import secrets

import pytest

RULE = {"conditions": [{"attribute": "plan", "operator": "in", "values": ["pro"]}], "variant": "on"}
FLAG = {"variants": {"on": True, "off": False}, "default_variant": "off", "rules": [RULE]}


@pytest.fixture
def key(admin):
    name = f"t-{secrets.token_hex(6)}"
    assert admin.put(f"/api/v1/flags/{name}", json=FLAG).status_code == 200
    return name


def test_a_flag_is_explained_step_by_step(admin, key):
    body = {"context": {"targetingKey": "u", "plan": "free"}}
    answer = admin.post(f"/api/v1/flags/{key}/explain", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["evaluation"]["variant"] == "off"
    assert found["steps"][0]["why"] == "rules[0].conditions[0] does not hold"
    assert admin.post("/api/v1/flags/absent/explain", json=body).status_code == 404


def test_a_preview_counts_who_would_be_served_what(admin, key):
    samples = [{"targetingKey": f"u{n}", "plan": "pro" if n % 2 else "free"} for n in range(100)]
    rule = {**RULE, "schedule": {"from": "2999-01-01T00:00:00Z"}}
    body = {"definition": {**FLAG, "rules": [rule]}, "contexts": samples}
    found = admin.post(f"/api/v1/flags/{key}/preview", json=body).json()
    assert (found["changed"], found["before"], found["after"]) == (50, {"off": 50, "on": 50}, {"off": 100})
    assert found["examples"][0]["sample"] == 1
    later = admin.post(f"/api/v1/flags/{key}/preview", json={**body, "at": "2999-06-01T00:00:00Z"}).json()
    assert later["changed"] == 0
    assert admin.get(f"/api/v1/flags/{key}").json()["revision"] == 1


def test_the_kill_switch_leaves_all_else_as_it_is(admin, key):
    answer = admin.patch(f"/api/v1/flags/{key}", json={"enabled": False})
    assert (answer.status_code, answer.json()["enabled"], answer.headers["etag"]) == (200, False, '"2"')
    assert admin.get(f"/api/v1/flags/{key}").json()["rules"] != []
    served = admin.post(f"/ofrep/v1/evaluate/flags/{key}", json={"context": {}}).json()
    assert served["reason"] == "DISABLED"


def test_every_fault_of_a_definition_is_told_with_its_path(admin):
    bad = {**FLAG, "type": "string", "rules": [{**RULE, "variant": "maybe"}, {"variant": "on"}, RULE]}
    answer = admin.put("/api/v1/flags/bad", json=bad)
    assert answer.status_code == 400
    assert [one["path"] for one in answer.json()["errors"]] == ["type", "rules[0].variant", "rules[2]"]
