"""Versions of secrets over HTTP: soft deletion, destruction, rollback, patches, metadata, folders, permissions."""

from __future__ import annotations

import json
import secrets

import pytest

from tradesense.core.sensitive import MASK
from tradesense.entrypoints.http.secrets import ACTIONS


@pytest.fixture
def name():
    return f"t-{secrets.token_hex(6)}"


def url(path, end=""):
    return f"/api/v1/secrets/{path}{end}"


@pytest.fixture
def three(admin, name):
    """A secret with three versions."""
    for value in ("one", "two", "three"):
        assert admin.put(url(name), json={"value": value}).status_code == 200
    return name


def states(admin, path):
    return [one["state"] for one in admin.get(url(path, "/versions")).json()["items"]]


def test_versions_say_who_wrote_them_and_which_is_current(admin, three):
    items = admin.get(url(three, "/versions")).json()["items"]
    assert [(one["version"], one["state"], one["current"]) for one in items] == [
        (1, "available", False),
        (2, "available", False),
        (3, "available", True),
    ]
    assert {one["created_by"].partition(":")[0] for one in items} == {"user"}
    assert not any("value" in one for one in items)
    assert admin.get(url("absent", "/versions")).status_code == 404


def test_a_deleted_secret_comes_back(admin, three):
    assert admin.delete(url(three)).status_code == 204
    assert admin.get(url(three)).status_code == 404
    assert states(admin, three) == ["deleted"] * 3
    assert admin.post(url(three, "/undelete")).json() == {"done": "undelete"}
    assert admin.get(url(three)).json()["value"] == "three"
    assert admin.delete(url(three), params={"version": 2}).status_code == 204
    assert states(admin, three) == ["available", "deleted", "available"]
    assert admin.post(url(three, "/undelete"), json={"versions": [2]}).status_code == 200
    assert states(admin, three) == ["available"] * 3


def test_what_is_destroyed_stays_so(admin, three):
    assert admin.post(url(three, "/destroy"), json={"versions": [1]}).status_code == 200
    assert states(admin, three)[0] == "destroyed"
    assert admin.post(url(three, "/undelete"), json={"versions": [1]}).status_code == 404
    assert admin.post(url(three, "/destroy")).status_code == 200
    assert admin.get(url(three, "/versions")).status_code == 404
    assert admin.post(url(three, "/undelete")).status_code == 404


def test_a_rollback_writes_the_old_value_anew(admin, three):
    assert admin.post(url(three, "/rollback"), json={"version": 1, "cas": 2}).status_code == 409
    assert admin.post(url(three, "/rollback"), json={"version": 1, "cas": 3}).json()["version"] == 4
    assert admin.get(url(three)).json()["value"] == "one"
    assert admin.post(url(three, "/rollback"), json={}).status_code == 400
    assert admin.post(url(three, "/rollback"), json={"version": 9}).status_code == 404


def test_a_patch_is_merged_into_an_object(admin, name):
    admin.put(url(name), json={"value": '{"user":"a","password":"p","opts":{"x":1,"y":2}}'})
    done = admin.patch(url(name), json={"password": "q", "opts": {"x": None}})
    assert done.json()["version"] == 2
    assert admin.get(url(name)).json()["value"] == '{"user":"a","password":"q","opts":{"y":2}}'
    assert admin.patch(url(name), json={"a": 1}, params={"cas": 1}).status_code == 409
    admin.put(url(name), json={"value": "canary-no-object"})
    refused = admin.patch(url(name), json={"a": 1})
    assert refused.status_code == 400
    assert "canary" not in refused.text


def test_R47_a_mask_is_not_written_over_a_value_wherever_it_would_be_sent(admin, name):
    """Neither alone nor beside an address that changed, and what was there stays."""
    kept = '{"url":"https://ours.example","password":"canary-kept","dsn":"postgres://u:canary-kept@ours/d"}'
    assert admin.put(url(name), json={"value": kept}).status_code == 200
    moved = {"url": "https://theirs.example", "password": MASK}
    for answer in (
        admin.put(url(name), json={"value": MASK}),
        admin.put(url(name), json={"value": f" {MASK}\n"}),
        admin.put(url(name), json={"value": json.dumps(moved)}),
        admin.patch(url(name), json=moved),
        admin.patch(url(name), json={"nested": [moved]}),
        admin.patch(url(name), json={"dsn": f"postgres://u:{MASK}@theirs/d"}),
    ):
        assert answer.status_code == 400
        assert answer.json()["type"].endswith(":secret-masked")
        assert "canary" not in answer.text
    assert admin.get(url(name)).json()["value"] == kept
    assert admin.put(url(name), json={"value": "********** is ten of them"}).status_code == 200


def test_bytes_are_written_as_they_are_read(admin, name):
    url, body = f"/api/v1/secrets/{name}", {"value": "/wD+", "encoding": "base64"}
    assert admin.put(url, json=body).status_code == 200
    found = admin.get(url).json()
    assert {key: found[key] for key in body} == body
    assert admin.put(url, json={"value": found["value"]}).status_code == 200
    assert "encoding" not in admin.get(url).json()
    answer = admin.put(url, json={"value": "canary=", "encoding": "base64"})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"path": "$.value", "message": "is no base64"}]
    assert admin.put(url, json={"value": "/wD+", "encoding": "hex"}).status_code == 400


def test_metadata_is_set_and_read(admin, three):
    custom = {"owner": "team-a", "env.name": "Zürich"}
    assert admin.post(url(three, "/metadata"), json={"custom": custom}).status_code == 200
    assert admin.get(url(three, "/metadata")).json() == {"custom": custom}
    assert admin.post(url(three, "/metadata"), json={"custom": {"bad key": "x"}}).status_code == 400


def test_how_many_versions_are_kept_is_set_and_read_and_held(admin, three):
    assert admin.get(url(three, "/retention")).json() == {"max_versions": 0, "delete_after": 0}
    wanted = {"max_versions": 2, "delete_after": 3600.5}
    assert admin.post(url(three, "/retention"), json=wanted).json() == {"done": "retention"}
    assert admin.get(url(three, "/retention")).json() == wanted
    assert admin.put(url(three), json={"value": "four"}).json()["version"] == 4
    assert [one["version"] for one in admin.get(url(three, "/versions")).json()["items"]] == [3, 4]
    assert admin.get(url(three, "/versions")).json()["items"][1]["deleted_at"]
    assert admin.post(url(three, "/retention"), json={"max_versions": -1}).status_code == 400
    assert admin.post(url(three, "/retention"), json={"max_versions": 10**9}).status_code == 400
    assert admin.get(url("absent", "/retention")).status_code == 404
    (row,) = admin.get("/api/v1/audit", params={"subject": three, "action": "secrets.retain", "limit": 1}).json()[
        "items"
    ]
    assert (row["outcome"], row["detail"]["max_versions"]) == ("succeeded", "2")


def test_a_folder_is_listed_without_what_lies_deeper(admin, name):
    for path in ("a", "a/b", "a/c/d", "a-b", "z"):
        admin.put(url(f"{name}/{path}"), json={"value": "x"})
    whole = [f"{name}/{path}" for path in ("a", "a-b", "a/", "z")]
    found = admin.get("/api/v1/secrets", params={"prefix": f"{name}/", "recursive": "false"}).json()
    assert (found["items"], found["cursor"]) == (whole, None)
    paged, cursor = [], None
    while True:
        query = {"prefix": f"{name}/", "recursive": "false", "limit": 1} | ({"cursor": cursor} if cursor else {})
        page = admin.get("/api/v1/secrets", params=query).json()
        paged += page["items"]
        if (cursor := page["cursor"]) is None:
            break
    assert paged == whole
    assert admin.get("/api/v1/secrets", params={"prefix": name, "recursive": "false"}).status_code == 400


@pytest.mark.parametrize("action", [*ACTIONS, "nothing"])
def test_what_cannot_be_done_to_what_is_absent(admin, name, action):
    answer = admin.post(url(name, f"/{action}"), json={"version": 1})
    assert answer.status_code == (400 if action == "rotate" else 404), "without a policy nothing is rotated"


def test_a_secret_whose_path_ends_as_a_part_does_is_read_by_its_version(admin, name):
    admin.put(url(name, "/versions"), json={"value": "called so"})
    assert admin.get(url(name, "/versions"), params={"version": 1}).json()["value"] == "called so"


def test_R61_every_change_of_a_secret_is_on_the_trail(admin, three):
    admin.delete(url(three))
    admin.post(url(three, "/undelete"))
    admin.post(url(three, "/rollback"), json={"version": 1})
    admin.post(url(three, "/metadata"), json={"custom": {"owner": "x"}})
    admin.post(url(three, "/destroy"), json={"versions": [2]})
    rows = admin.get("/api/v1/audit", params={"subject": three}).json()["items"]
    assert [row["action"] for row in rows[3:]] == [
        f"secrets.{verb}" for verb in ("delete", "undelete", "rollback", "describe", "destroy")
    ]
    assert rows[-1]["detail"]["versions"] == "2"
