"""Signing up, logging in by cookie and by token, and out, over real sockets."""

from __future__ import annotations

import dataclasses
import secrets

import msgspec
import pytest
from talking import PASSWORD, Person, Talker, ask, check_cookie

from tradesense.entrypoints.http.app import create_app


def session_of(client):
    return client.cookies.get("session")


def test_login_by_cookie_answers_as_documented(person):
    answer = person.log_in()
    body = answer.json()
    assert body["status"] == "authenticated"
    assert body["user"]["email"] == person.email
    assert body["user"]["roles"] == ["user"]
    assert set(body) == {"status", "user", "csrf_token"}
    assert person.get("/api/v1/auth/session").json()["user"] == body["user"]


def test_R13_every_cookie_of_a_login_is_for_http_alone_and_this_host(person):
    cookies = person.log_in().headers.get_list("set-cookie")
    assert {cookie.partition("=")[0] for cookie in cookies} >= {"session", "browser"}
    for cookie in cookies:
        check_cookie(cookie, secure=False)


GOOD = "__Host-session=x; Path=/; HttpOnly; Secure; SameSite=lax"


@pytest.mark.parametrize(
    "wrong",
    [
        GOOD.replace("; HttpOnly", ""),
        GOOD.replace("; Secure", ""),
        GOOD.replace("; SameSite=lax", ""),
        GOOD.replace("SameSite=lax", "SameSite=none"),
        GOOD.replace("Path=/", "Path=/api"),
        GOOD.replace("__Host-", ""),
        GOOD.replace("session", "other"),
        GOOD + "; Domain=example.org",
        GOOD.replace("=x", "=" + "x" * 4096),
    ],
)
def test_R13_a_cookie_that_any_test_is_sent_would_be_found_wrong(wrong):
    check_cookie(GOOD, secure=True)
    with pytest.raises(AssertionError):
        check_cookie(wrong, secure=True)


async def test_R13_behind_tls_every_cookie_is_secure_and_bound_to_the_host(services):
    behind = msgspec.structs.replace(services.settings.http, base_url="https://127.0.0.1:8000")
    app = create_app(dataclasses.replace(services, settings=msgspec.structs.replace(services.settings, http=behind)))
    headers = [(b"origin", b"https://127.0.0.1:8000")]
    visit = await ask(app, "GET", "/api/v1/auth/csrf", headers=headers)
    check_cookie(visit.headers["set-cookie"], secure=True)


def test_login_by_token_answers_as_documented_and_sets_no_cookie(person, server):
    with Talker(server.url) as client:
        body = {"email": person.email, "password": PASSWORD, "mode": "token"}
        answer = client.post("/api/v1/auth/login", json=body)
        pair = answer.json()
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert set(pair) == {"status", "user", "access_token", "refresh_token", "expires_in", "token_type"}
        assert pair["token_type"] == "Bearer"
        bearer = {"Authorization": f"Bearer {pair['access_token']}"}
        assert client.get("/api/v1/auth/session", headers=bearer).json()["session"]["via"] == "bearer"
        assert client.get("/api/v1/auth/session").status_code == 401


def test_R12_login_mints_a_new_session_id(person):
    first = session_of(person)
    person.log_in()
    second = session_of(person)
    assert first
    assert second not in {None, first}
    with Person(person.origin, person.email) as thief:
        thief.cookies.set("session", first)
        assert thief.get("/api/v1/auth/session").status_code == 401, "the old id is dead"


def test_R12_a_session_id_of_the_clients_own_is_never_adopted(person, server):
    chosen = "attacker-chosen-value-that-is-long-enough-43"
    with Person(server.url, person.email) as victim:
        victim.cookies.set("session", chosen)
        victim.log_in()
        assert chosen not in [cookie.value for cookie in victim.cookies.jar if cookie.name == "session"][-1:]
    with Talker(server.url) as attacker:
        attacker.cookies.set("session", chosen)
        assert attacker.get("/api/v1/auth/session").status_code == 401


def test_R12_the_session_of_another_account_ends_when_one_logs_in_over_it(person, server):
    before = session_of(person)
    person.email = f"other-{secrets.token_hex(6)}@example.org"
    person.visit()
    assert (
        person.send_proved(
            "POST", "/api/v1/auth/register", json={"email": person.email, "password": PASSWORD}
        ).status_code
        == 202
    )
    person.log_in()
    assert person.get("/api/v1/auth/session").json()["user"]["email"] == person.email
    with Talker(server.url) as client:
        client.cookies.set("session", before)
        assert client.get("/api/v1/auth/session").status_code == 401


def test_R15_logout_is_effective_on_the_next_request(person, server):
    token = session_of(person)
    answer = person.send_proved("POST", "/api/v1/auth/logout")
    assert answer.status_code == 204
    assert session_of(person) is None
    with Talker(server.url) as client:
        client.cookies.set("session", token)
        assert client.get("/api/v1/auth/session").status_code == 401


def test_R15_logout_everywhere_ends_every_session(person, server):
    with Person(server.url, person.email) as elsewhere, Talker(server.url) as by_token:
        elsewhere.log_in()
        login = {"email": person.email, "password": PASSWORD, "mode": "token"}
        pair = by_token.post("/api/v1/auth/login", json=login).json()
        assert person.send_proved("POST", "/api/v1/auth/logout-all").status_code == 204
        assert elsewhere.get("/api/v1/auth/session").status_code == 401
        bearer = {"Authorization": f"Bearer {pair['access_token']}"}
        assert by_token.get("/api/v1/auth/session", headers=bearer).status_code == 401


def test_R07_signing_up_answers_the_same_whether_the_address_is_known(person, server):
    answers = []
    for email in (person.email, person.email.upper(), f"new-{secrets.token_hex(6)}@example.org"):
        with Person(server.url, email) as someone:
            answers.append(someone.sign_up())
    seen = [
        (one.status_code, one.content, sorted(set(one.headers) - {"date"}), "set-cookie" in one.headers)
        for one in answers
    ]
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize(
    "credentials",
    [
        {"email": "nobody-at-all@example.org", "password": PASSWORD},
        {"email": "not an address", "password": PASSWORD},
    ],
)
def test_R06_a_failed_login_does_not_say_why(person, anyone, credentials):
    wrong = anyone.post(
        "/api/v1/auth/login", json={"email": person.email, "password": "wrong " + PASSWORD, "mode": "token"}
    )
    other = anyone.post("/api/v1/auth/login", json={**credentials, "mode": "token"})
    assert wrong.status_code == other.status_code == 401
    told = [{k: v for k, v in one.json().items() if k not in {"instance", "correlation_id"}} for one in (wrong, other)]
    assert told[0] == told[1]
    assert told[0]["type"] == "urn:tradesense:problem:credentials-refused"


def test_R08_guessing_is_slowed_down_per_account_whatever_the_spelling(anyone):
    email = f"victim-{secrets.token_hex(6)}@example.org"
    spellings = [email, email.upper(), f" {email}", email.capitalize(), f"{email} ", email]
    answers = [
        anyone.post("/api/v1/auth/login", json={"email": one, "password": PASSWORD, "mode": "token"})
        for one in spellings
    ]
    assert [one.status_code for one in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1


def signed_up(server, password):
    """The address of a new account with this password, or nothing where the password is refused."""
    with Person(server.url, f"p-{secrets.token_hex(6)}@example.org", password) as someone:
        someone.visit()
        body = {"email": someone.email, "password": password}
        answer = someone.send_proved("POST", "/api/v1/auth/register", json=body)
        assert answer.status_code in {202, 400}
        return someone.email if answer.status_code == 202 else ""


def test_R02_lengths_are_taken_whole(server):
    letters = secrets.token_urlsafe(300)
    taken = {length: bool(signed_up(server, letters[:length])) for length in (7, 8, 14, 15, 64, 256, 257)}
    assert taken == {7: False, 8: False, 14: False, 15: True, 64: True, 256: True, 257: False}


def test_R02_no_letter_is_trimmed_cut_or_folded(server, anyone):
    long = secrets.token_urlsafe(60)[:72]
    others = {
        f"{long}a": [f"{long}b", long],
        f"  {long[:20]} ": [long[:20], f"{long[:20]} ", f"  {long[:20]}"],
        f"abc\0{long[:20]}": ["abc", f"abc{long[:20]}"],
        "\U0001f984 unicorns like Ponies": ["\U0001f984 unicorns like ponies", "\U0001f40e unicorns like Ponies"],
    }
    for password, wrong in others.items():
        email = signed_up(server, password)
        for one, status in [*((other, 401) for other in wrong), (password, 200)]:
            body = {"email": email, "password": one, "mode": "token"}
            assert anyone.post("/api/v1/auth/login", json=body).status_code == status, repr(one)


@pytest.mark.parametrize(
    ("password", "reason"),
    [("tiny phrase", "too-short"), ("x" * 257, "too-long"), ("tradesense" * 2, "contextual"), (" " * 15, "common")],
)
def test_R02_a_password_that_policy_refuses_says_which_rule(server, password, reason):
    with Person(server.url, f"p-{secrets.token_hex(6)}@example.org", password) as someone:
        someone.visit()
        answer = someone.send_proved(
            "POST", "/api/v1/auth/register", json={"email": someone.email, "password": password}
        )
    assert answer.status_code == 400
    assert answer.json()["reason"] == reason
    assert password not in answer.text


def test_the_key_set_can_be_read_by_anyone(anyone):
    answer = anyone.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert isinstance(answer.json()["keys"], list)
    assert "max-age" in answer.headers["cache-control"]


def test_an_administrator_lists_and_makes_accounts(admin):
    email = f"made-{secrets.token_hex(6)}@example.org"
    made = admin.post("/api/v1/users", json={"email": email, "password": PASSWORD, "roles": ["user"]})
    assert made.status_code == 201
    assert "password" not in made.text
    again = admin.post("/api/v1/users", json={"email": email, "password": PASSWORD})
    assert again.status_code == 409
    assert again.json()["type"].endswith("email-taken")
    listed, cursor = [], None
    while True:
        page = admin.get("/api/v1/users", params={"limit": 50, **({"cursor": cursor} if cursor else {})}).json()
        listed += page["items"]
        if not (cursor := page["cursor"]):
            break
    assert email in [user["email"] for user in listed]
    assert (
        admin.post(
            "/api/v1/users", json={"email": "x@example.org", "password": PASSWORD, "roles": ["wizard"]}
        ).status_code
        == 400
    )


def test_roles_are_at_least_one_and_each_once(admin):
    account = {"email": f"made-{secrets.token_hex(6)}@example.org", "password": PASSWORD}
    for roles in ([], ["wizard"], ["user", "wizard"]):
        assert admin.post("/api/v1/users", json={**account, "roles": roles}).status_code == 400
    made = admin.post("/api/v1/users", json={**account, "roles": ["user", "admin", "user"]})
    assert (made.status_code, made.json()["roles"]) == (201, ["user", "admin"])


def test_R48_fields_that_are_not_asked_for_are_refused(server):
    with Person(server.url, f"p-{secrets.token_hex(6)}@example.org") as someone:
        someone.visit()
        for extra in ("roles", "is_admin", "tenant_id", "id"):
            body = {"email": someone.email, "password": PASSWORD, extra: ["admin"]}
            answer = someone.send_proved("POST", "/api/v1/auth/register", json=body)
            assert answer.status_code == 400
            assert extra in answer.text
