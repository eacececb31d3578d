"""Tokens and API keys over real sockets: introspection, revocation, and that no kind stands in for another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from talking import PASSWORD, Talker

from servers import wait_until

INTROSPECT, REVOKE = "/api/v1/auth/token/introspect", "/api/v1/auth/token/revoke"
REFRESH = "/api/v1/auth/token/refresh"


def by_token(client, person):
    answer = client.post("/api/v1/auth/login", json={"email": person.email, "password": PASSWORD, "mode": "token"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def make_key(person, *scopes, **more):
    answer = person.send_proved(
        "POST", "/api/v1/api-keys", json={"name": "a key", "scopes": scopes or ["flags:evaluate"], **more}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_introspection_tells_what_a_token_is_worth(person, anyone, admin):
    pair, key = by_token(anyone, person), make_key(person)
    user = person.get("/api/v1/auth/session").json()["user"]["id"]
    for token, kind in (
        (pair["access_token"], "access_token"),
        (pair["refresh_token"], "refresh_token"),
        (key["key"], "api_key"),
    ):
        told = admin.post(INTROSPECT, json={"token": token}).json()
        assert (told["active"], told["token_type"], told["sub"]) == (True, kind, user)
        assert admin.post(INTROSPECT, data={"token": token, "token_type_hint": "access_token"}).json() == told
    nothing = admin.post(INTROSPECT, json={"token": "nonsense"}).json()
    assert nothing["active"] is False
    assert not any(nothing.values())
    assert admin.post(INTROSPECT, json={"token": person.cookies.get("session")}).json() == nothing
    assert person.send_proved("POST", INTROSPECT, json={"token": pair["access_token"]}).status_code == 403


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_R15_a_revoked_token_is_dead_on_the_next_request_with_all_of_its_session(person, anyone, admin, kind):
    pair = by_token(anyone, person)
    assert anyone.get("/api/v1/auth/session", headers=bearer(pair["access_token"])).status_code == 200
    assert anyone.post(REVOKE, data={"token": pair[kind]}).status_code == 200
    assert anyone.get("/api/v1/auth/session", headers=bearer(pair["access_token"])).status_code == 401
    assert anyone.post(REFRESH, json={"refresh_token": pair["refresh_token"]}).status_code == 401
    assert admin.post(INTROSPECT, json={"token": pair["access_token"]}).json()["active"] is False


def test_revoking_nothing_answers_as_revoking_something_does(person, anyone):
    pair = by_token(anyone, person)
    answers = [anyone.post(REVOKE, json={"token": token}) for token in ("nonsense", pair["access_token"], "")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert anyone.post(REVOKE, data={"token": "a", "more": "b"}).status_code == 400
    twice = anyone.post(
        REVOKE, content=b"token=a&token=b", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert twice.status_code == 400


def test_R23_a_form_is_taken_where_the_rfcs_ask_for_it_and_nowhere_else(anyone):
    assert anyone.post("/api/v1/auth/login", data={"email": "a@example.org", "password": "x"}).status_code == 415
    assert anyone.post(REVOKE, content=b"token=a", headers={"Content-Type": "text/plain"}).status_code == 415


def test_an_api_key_is_shown_once_scoped_and_removed(person, anyone):
    made = make_key(person, "flags:evaluate", expires_in_days=1)
    assert made["key"].startswith(made["prefix"])
    assert made["key"] not in person.get("/api/v1/api-keys").text
    listed = [key for key in person.get("/api/v1/api-keys").json()["items"] if key["id"] == made["id"]]
    assert listed[0]["last_used_at"] is None
    for headers in ({"X-API-Key": made["key"]}, bearer(made["key"])):
        question = {"context": {"targetingKey": "u"}}
        answer = anyone.post("/ofrep/v1/evaluate/flags/no-such-flag", json=question, headers=headers)
        assert answer.json()["errorCode"] == "FLAG_NOT_FOUND", answer.text
        refused = anyone.get("/api/v1/api-keys", headers=headers)
        assert refused.status_code == 403, "identity:self is not in its scopes"
    (listed,) = [key for key in person.get("/api/v1/api-keys").json()["items"] if key["id"] == made["id"]]
    assert listed["last_used_at"] is not None
    assert person.send_proved("DELETE", f"/api/v1/api-keys/{made['id']}").status_code == 204
    assert person.send_proved("DELETE", f"/api/v1/api-keys/{made['id']}").status_code == 404

    def refused_at_all():
        path = "/ofrep/v1/evaluate/flags/no-such-flag"
        return anyone.post(path, json=question, headers=bearer(made["key"])).status_code == 401

    wait_until(refused_at_all, "the end of a key in every process", seconds=5)


@pytest.mark.parametrize(
    ("scopes", "status"), [(["*:*"], 403), (["secrets:read"], 403), (["nonsense"], 400), ([], 400), (["a:b"] * 51, 400)]
)
def test_R49_a_key_gets_no_scope_that_its_user_is_not_granted(person, scopes, status):
    body = {"name": "too much", "scopes": scopes}
    assert person.send_proved("POST", "/api/v1/api-keys", json=body).status_code == status


def test_two_proofs_of_who_is_asking_are_one_too_many(person, anyone):
    key = make_key(person)["key"]
    pair = by_token(anyone, person)
    answer = anyone.get("/api/v1/auth/session", headers={**bearer(pair["access_token"]), "X-API-Key": key})
    assert answer.status_code == 401


def test_R21_no_token_is_in_the_log(person, server, anyone):
    pair, key = by_token(anyone, person), make_key(person)["key"]
    anyone.get("/api/v1/auth/session", headers=bearer(pair["access_token"]))
    anyone.get("/api/v1/auth/session", headers={"X-API-Key": key})
    anyone.get(f"/api/v1/auth/session?token={pair['access_token']}")
    for text in (*(pair[kind] for kind in ("access_token", "refresh_token")), key, person.cookies.get("session")):
        assert text not in server.output


def test_R19_a_double_submit_brings_the_same_successor_and_a_later_one_ends_the_session(person, server):
    def refresh(client, token):
        return client.post("/api/v1/auth/token/refresh", json={"refresh_token": token})

    with Talker(server.url) as client:
        login = {"email": person.email, "password": PASSWORD, "mode": "token"}
        first = client.post("/api/v1/auth/login", json=login).json()["refresh_token"]
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(lambda _: refresh(client, first), range(16)))
        assert {answer.status_code for answer in answers} == {200}
        assert set(answers[0].json()) == {"access_token", "refresh_token", "expires_in", "token_type"}
        (successor,) = {answer.json()["refresh_token"] for answer in answers}
        assert refresh(client, successor).status_code == 200
        assert refresh(client, first).status_code == 401, "its successor was used, so this is another client"
        assert refresh(client, successor).status_code == 401, "the session of a token that was used twice is over"
        bearer = {"Authorization": f"Bearer {answers[0].json()['access_token']}"}
        assert client.get("/api/v1/auth/session", headers=bearer).status_code == 401


def test_R21_answers_about_identity_are_not_stored_and_logout_clears_the_site(person):
    for path in ("/api/v1/auth/session", "/api/v1/auth/csrf"):
        assert person.get(path).headers["cache-control"] == "no-store"
    assert person.log_in().headers["cache-control"] == "no-store"
    answer = person.send_proved("POST", "/api/v1/auth/logout")
    assert "storage" in answer.headers["clear-site-data"]
    assert answer.headers["cache-control"] == "no-store"
