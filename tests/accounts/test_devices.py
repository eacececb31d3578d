"""Where one is logged in, ending that, and proving once more who is there, over real sockets."""

from __future__ import annotations

import secrets

from talking import PASSWORD, Person, Talker
from test_links import ends

SESSIONS = "/api/v1/auth/sessions"


def listed(person):
    return {one["id"]: one for one in person.get(SESSIONS).json()["items"]}


def test_R20_a_user_sees_and_ends_sessions(person, server):
    with Person(server.url, person.email) as phone, Person(server.url, person.email) as laptop:
        phone.headers["User-Agent"] = "Mozilla/5.0 (Linux; Android 16) Chrome/140.0 Mobile Safari/537.36"
        laptop.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        phone.log_in()
        laptop.log_in()
        seen = listed(laptop)
        assert len(seen) == 3
        (here,) = [one for one in seen.values() if one["current"]]
        (there,) = [one for one in seen.values() if one["device"] == "Chrome on Android"]
        assert (here["device"], here["address"], here["methods"]) == ("Firefox on Linux", "127.0.0.1", ["pwd"])
        assert laptop.send_proved("DELETE", f"{SESSIONS}/{there['id']}").status_code == 204
        assert ends(phone)
        assert set(listed(laptop)) == set(seen) - {there["id"]}
        assert laptop.send_proved("POST", "/api/v1/auth/logout-others").json() == {"ended": 1}
        assert ends(person)
        assert set(listed(laptop)) == {here["id"]}


def test_R20_an_administrator_sees_and_ends_a_users_sessions(person, admin):
    user = person.get("/api/v1/auth/session").json()["user"]["id"]
    path = f"/api/v1/users/{user}/sessions"
    assert len(admin.get(path).json()["items"]) == 1
    assert person.get(path).status_code == 403
    assert admin.delete(path).json() == {"ended": 1}
    assert ends(person)
    assert admin.get("/api/v1/users/nobody/sessions").status_code == 404


def test_R12_a_step_up_mints_a_new_session_id(person, server):
    before = person.cookies.get("session")
    old_csrf, old_id = person.csrf, person.get("/api/v1/auth/session").json()["session"]["id"]
    answer = person.send_proved("POST", "/api/v1/auth/step-up", json={"password": PASSWORD})
    assert answer.status_code == 200, answer.text
    after = person.cookies.get("session")
    assert after not in {None, before}
    with Talker(server.url) as thief:
        thief.cookies.set("session", before)
        assert thief.get("/api/v1/auth/session").status_code == 401, "the old id is dead"
    stale = person.post("/api/v1/auth/logout-others", headers={"Origin": server.url, "X-CSRF-Token": old_csrf})
    assert stale.status_code == 403, "the old page's token went with the session"
    person.csrf = answer.json()["csrf_token"]
    assert person.get("/api/v1/auth/session").json()["session"]["id"] != old_id
    assert person.send_proved("POST", "/api/v1/auth/logout-others").status_code == 200


def test_R12_a_step_up_by_token_ends_the_pair_before(person, anyone):
    login = {"email": person.email, "password": PASSWORD, "mode": "token"}
    old = anyone.post("/api/v1/auth/login", json=login).json()
    answer = anyone.post(
        "/api/v1/auth/step-up",
        json={"password": PASSWORD},
        headers={"Authorization": f"Bearer {old['access_token']}"},
    )
    assert answer.status_code == 200
    new = answer.json()
    for token, status in ((old["access_token"], 401), (new["access_token"], 200)):
        assert anyone.get(SESSIONS, headers={"Authorization": f"Bearer {token}"}).status_code == status
    spent = anyone.post("/api/v1/auth/token/refresh", json={"refresh_token": old["refresh_token"]})
    assert spent.status_code == 401


def test_a_step_up_with_a_wrong_password_changes_nothing(person):
    answer = person.send_proved("POST", "/api/v1/auth/step-up", json={"password": "wrong " + PASSWORD})
    assert answer.status_code == 401
    assert answer.json()["type"].endswith("credentials-refused")
    assert person.get("/api/v1/auth/session").status_code == 200


def test_a_page_of_sessions_begins_where_its_list_said(person):
    assert person.get(SESSIONS, params={"cursor": "nonsense"}).status_code == 400


def test_R12_another_role_ends_the_sessions_that_were_begun_with_the_old_one(server, admin):
    email = f"p-{secrets.token_hex(6)}@example.org"
    with Person(server.url, email) as someone:
        someone.sign_up()
        user = someone.log_in().json()["user"]["id"]
        answer = admin.put(f"/api/v1/users/{user}/roles", json={"roles": ["user", "admin"]})
        assert answer.json()["roles"] == ["user", "admin"]
        assert ends(someone)
        assert someone.log_in().json()["user"]["roles"] == ["user", "admin"]
        assert someone.get("/api/v1/users").status_code == 200
        admin.put(f"/api/v1/users/{user}/roles", json={"roles": ["user"]})
        assert ends(someone)
