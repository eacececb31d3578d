"""Administering flags: explained, previewed, switched, and refused with the path of each fault."""

from __future__ import annotations

import json
import secrets
import threading
import time

import pytest

from tradesense.core.audit.models import WORKER
from tradesense.core.errors import InvalidInput
from tradesense.core.flags.models import Flag
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

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


def test_a_flag_goes_back_to_what_it_was_and_everybody_sees_who_did_it(admin, key):
    admin.put(f"/api/v1/flags/{key}", json={**FLAG, "rules": []})
    path = f"/api/v1/flags/{key}/rollback"
    assert admin.post(path, json={"revision": 1}, headers={"If-Match": '"1"'}).status_code == 412
    back = admin.post(path, json={"revision": 1}, headers={"If-Match": '"2"'})
    assert (back.status_code, back.headers["etag"], back.json()["rules"]) == (200, '"3"', [RULE])
    assert admin.delete(f"/api/v1/flags/{key}").status_code == 204
    history = admin.get(f"/api/v1/flags/{key}/history").json()["items"]
    assert [(one["revision"], one["deleted"]) for one in history] == [(1, False), (2, False), (3, False), (4, True)]
    assert len({one["updated_by"] for one in history}) == 1
    assert history[0]["digest"] == history[2]["digest"] != history[1]["digest"]
    rows = admin.get("/api/v1/audit", params={"subject": key, "limit": 10}).json()["items"]
    told = {row["detail"]["revision"]: row["detail"]["digest"] for row in rows if "revision" in row["detail"]}
    assert told == {str(one["revision"]): one["digest"] for one in history[:3]}
    assert admin.post(path, json={"revision": 4}).status_code == 400
    assert admin.get("/api/v1/flags/never/history").status_code == 404


def test_a_segment_is_nested_checked_and_serves_at_once(admin, key):
    inner, outer = f"{key}-inner", f"{key}-outer"
    pro = {"attribute": "plan", "operator": "in", "values": ["pro"]}
    assert admin.put(f"/api/v1/segments/{inner}", json={"groups": [[pro]]}).status_code == 200
    asks = {"operator": "in_segment", "values": [inner]}
    assert admin.put(f"/api/v1/segments/{outer}", json={"groups": [[asks]]}).status_code == 200
    rule = {"conditions": [{"operator": "in_segment", "values": [outer]}], "variant": "on"}
    assert admin.put(f"/api/v1/flags/{key}", json={**FLAG, "rules": [rule]}).status_code == 200

    def variant(**context):
        found = admin.post(f"/ofrep/v1/evaluate/flags/{key}", json={"context": {"targetingKey": "u", **context}})
        return found.json()["variant"]

    assert [variant(plan="pro"), variant(plan="free")] == ["on", "off"]
    changed = admin.put(f"/api/v1/segments/{inner}", json={"excluded": ["x"], "included": ["u"]})
    assert [variant(plan="free"), changed.json()["revision"]] == ["on", 2]
    cycle = admin.put(f"/api/v1/segments/{inner}", json={"groups": [[{"operator": "in_segment", "values": [outer]}]]})
    assert (cycle.status_code, cycle.json()["errors"][0]["path"]) == (400, "groups[0][0].values[0]")
    absent = admin.put(f"/api/v1/segments/{inner}", json={"groups": [[pro, {**asks, "values": ["none"]}], []]})
    assert absent.json()["errors"][0]["path"] == "groups[1]"
    assert admin.delete(f"/api/v1/segments/{inner}").status_code == 409
    assert admin.put(f"/api/v1/segments/{inner}", json={"key": "other"}).status_code == 400
    assert admin.post(f"/api/v1/segments/{inner}/rollback", json={"revision": 1}).json()["revision"] == 3
    assert [variant(plan="pro"), variant(plan="free")] == ["on", "off"]
    assert [one["revision"] for one in admin.get(f"/api/v1/segments/{inner}/history").json()["items"]] == [1, 2, 3]


def test_flags_that_should_be_gone_are_listed(admin, key):
    old = {**FLAG, "expires": "2020-01-01T00:00:00Z"}
    admin.put(f"/api/v1/flags/{key}-old", json=old)
    admin.put(f"/api/v1/flags/{key}-archived", json={**old, "archived": True})
    admin.put(f"/api/v1/flags/{key}-later", json={**old, "expires": "2999-01-01T00:00:00Z"})
    found = admin.get("/api/v1/flags", params={"stale": "true", "limit": 1000}).json()["items"]
    assert [one["key"] for one in found if one["key"].startswith(key)] == [f"{key}-old"]


async def test_flags_of_a_file_are_served_follow_it_and_cannot_be_written(tmp_path):
    path = tmp_path / "flags.json"
    path.write_text(json.dumps([{"key": "f", **FLAG}]))
    env = {"TRADESENSE_FLAGS__PROVIDER": "file", "TRADESENSE_FLAGS__FILE__PATH": str(path)}
    loaded = load({"ENVIRONMENT": "testing", **env}, directory=tmp_path)
    async with open_container(loaded.settings, plugins=loaded.plugins) as services:
        assert (await services.flags.evaluate("f", {"plan": "pro"})).variant == "on"
        tag = await services.flags.changed_since("", 0)
        (tmp_path / "next").write_text(json.dumps([{"key": "f", **FLAG, "rules": []}]))
        (tmp_path / "next").replace(path)
        assert await services.flags.changed_since(tag, 30) != tag
        assert (await services.flags.evaluate("f", {"plan": "pro"})).variant == "off"
        with pytest.raises(InvalidInput, match="cannot be written"):
            await services.flags.put(Flag(key="g", variants={"a": 1}, default_variant="a"), actor=WORKER)
        path.write_text("{")
        checks = {one.name: one for one in (await services.health.report()).checks}
        assert (checks["flags file"].status, "not JSON" in checks["flags file"].detail) == ("degraded", True)


def test_an_experiment_counts_whom_chance_showed_what_and_who_converted(admin, key):
    rules = [RULE, {"shares": [{"variant": "on", "percent": 50}, {"variant": "off", "percent": 50}]}]
    definition = {**FLAG, "rules": rules, "experiment": {"control": "off", "metrics": ["bought"]}}
    assert admin.put(f"/api/v1/flags/{key}", json=definition).status_code == 200
    people = [f"u{number}" for number in range(40)]
    shown = {}
    for person in [*people, *people[:5]]:
        answer = admin.post(f"/ofrep/v1/evaluate/flags/{key}", json={"context": {"targetingKey": person}})
        shown[person] = answer.json()["variant"]
    admin.post(f"/ofrep/v1/evaluate/flags/{key}", json={"context": {"targetingKey": "chosen", "plan": "pro"}})
    path = f"/api/v1/experiments/{key}"
    own = {"variant": "on", "targeting_key": "elsewhere", "at": "0001-01-01T00:00:00+14:00"}
    assert admin.post(f"{path}/exposures", json={"exposures": [own, own]}).status_code == 204

    def counted():
        found = admin.get(f"{path}/results").json()
        return found if found["exposed"] == len(people) + 1 else None

    eventually(counted)
    done = [{"metric": "bought", "targeting_key": person} for person in [*people, "chosen", "stranger", *people]]
    assert admin.post(f"{path}/conversions", json={"conversions": done}).status_code == 204
    found = counted()
    assert found["metrics"][0]["metric"] == "bought"
    by = {one["variant"]: (one["exposed"], one["converted"]) for one in found["metrics"][0]["variants"]}
    on = list(shown.values()).count("on")
    assert by == {"on": (on + 1, on), "off": (len(people) - on, len(people) - on)}
    assert found["plot"].startswith("<svg")
    assert found["sample_ratio"]["mismatch"] is False
    wrong = admin.post(f"{path}/conversions", json={"conversions": [{"metric": "x", "targeting_key": "u"}]})
    assert (wrong.status_code, wrong.json()["errors"][0]["path"]) == (400, "[0].metric")
    absent = admin.get("/api/v1/experiments/absent/results")
    assert (absent.status_code, absent.json()["type"]) == (404, "urn:tradesense:problem:experiment-not-found")


def test_a_change_waits_for_another_person_and_is_told_of(admin, key, person):
    path = f"/api/v1/flags/{key}/changes"
    both = admin.post(path, json={"definition": FLAG, "remove": True})
    assert (both.status_code, both.json()["type"]) == (400, "urn:tradesense:problem:invalid-body")
    assert admin.post(path, json={"definition": FLAG}, headers={"If-Match": '"7"'}).status_code == 412
    made = admin.post(
        path, json={"definition": {**FLAG, "rules": []}, "reason": "simpler"}, headers={"If-Match": '"1"'}
    )
    assert (made.status_code, made.json()["state"]) == (201, "pending"), made.text
    change = f"/api/v1/change-requests/{made.json()['id']}"
    own = admin.post(f"{change}/approve")
    assert (own.status_code, own.json()["type"]) == (403, "urn:tradesense:problem:approval-refused")
    assert person.send_proved("POST", f"{change}/approve").status_code == 403
    me = person.get("/api/v1/auth/session").json()["user"]["id"]
    role = f"approver-{key[2:]}"
    assert admin.put(f"/api/v1/roles/{role}", json={"allow": ["flags:approve", "flags:read"]}).status_code == 200
    assert admin.put(f"/api/v1/users/{me}/roles", json={"roles": ["user", role]}).status_code == 200
    person.log_in()
    assert person.send_proved("PUT", f"/api/v1/flags/{key}", json=FLAG).status_code == 403
    approved = person.send_proved("POST", f"{change}/approve")
    assert approved.status_code == 200, approved.text
    assert approved.json()["state"] == "applied"
    assert admin.get(f"/api/v1/flags/{key}").json()["rules"] == []
    assert person.get(change).json()["approved_by"] == {"kind": "user", "id": me}
    again = person.send_proved("POST", f"{change}/approve")
    assert (again.status_code, again.json()["type"]) == (409, "urn:tradesense:problem:change-conflict")
    back = admin.post(path, json={"revision": 1, "not_before": "2999-01-01T00:00:00Z"}).json()
    assert (back["state"], back["flag"]["rules"]) == ("scheduled", [RULE])
    rejected = person.send_proved("POST", f"/api/v1/change-requests/{back['id']}/reject", json={"note": "no"})
    assert (rejected.json()["state"], rejected.json()["note"]) == ("rejected", "no")
    segment = admin.post(f"/api/v1/segments/{key}/changes", json={"definition": {"included": ["u"]}}).json()
    assert admin.post(f"/api/v1/change-requests/{segment['id']}/withdraw").json()["state"] == "withdrawn"
    pending = admin.get("/api/v1/change-requests", params={"state": "pending", "limit": 1000}).json()["items"]
    assert not {one["id"] for one in pending} & {made.json()["id"], back["id"], segment["id"]}
    assert admin.get("/api/v1/change-requests/absent").json()["type"] == "urn:tradesense:problem:change-not-found"


def eventually(holds):
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "not in time"
        threading.Event().wait(0.05)
