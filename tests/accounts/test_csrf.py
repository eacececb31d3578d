"""Cookie-borne requests that change something need two proofs: where they come from, and the token of the session."""

from __future__ import annotations

import re

import pytest
from talking import PASSWORD, Person, Talker

from tradesense.entrypoints.http.app import create_routes
from tradesense.entrypoints.http.guards import inventory
from tradesense.entrypoints.http.site import Site
from tradesense.settings.schema import Settings

PROVED_ROUTES = [("POST", "/api/v1/auth/logout"), ("POST", "/api/v1/auth/logout-all")]


@pytest.fixture
def stranger(server, person):
    with Person(server.url, person.email) as stranger:
        stranger.visit()
        yield stranger


@pytest.mark.parametrize(("method", "path"), PROVED_ROUTES)
def test_R22_a_cookie_alone_changes_nothing(person, stranger, method, path):
    good = person.proof()
    visit = Person(person.origin, person.email)
    with visit:
        visit.visit()
        refused = {
            "no proof": {},
            "no token": {"Origin": person.origin},
            "no origin": {"X-CSRF-Token": person.csrf},
            "a token of the visit before": {**good, "X-CSRF-Token": visit.csrf},
            "a token of another visit": {**good, "X-CSRF-Token": stranger.csrf},
            "cross-site": {"X-CSRF-Token": person.csrf, "Sec-Fetch-Site": "cross-site"},
            "same site, other origin": {"X-CSRF-Token": person.csrf, "Sec-Fetch-Site": "same-site"},
            "foreign origin": {**good, "Origin": "https://evil.example"},
            "our origin as a prefix": {**good, "Origin": f"{person.origin}.evil.example"},
            "null": {**good, "Origin": "null"},
            "malformed token": {**good, "X-CSRF-Token": "%%%"},
            "empty token": {**good, "X-CSRF-Token": ""},
            "changed token": {**good, "X-CSRF-Token": person.csrf[:-2] + "AA"},
        }
        for name, headers in refused.items():
            answer = person.request(method, path, headers=headers)
            assert answer.status_code == 403, name
            assert answer.json()["type"] == "urn:tradesense:problem:csrf-refused", name
    assert person.get("/api/v1/auth/session").status_code == 200, "nothing of it ended the session"
    assert person.request(method, path, headers=good).status_code == 204


UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
OPEN = {
    f"/api/v1/auth/{path}"
    for path in (
        "email/confirm",
        "login",
        "password/forgot",
        "password/reset",
        "register",
        "token/introspect",
        "token/refresh",
        "token/revoke",
        "verify-email",
        "verify-email/resend",
    )
}
"""Routes that no session is asked for; logging in and signing up take the token of the visit, as is seen below."""


@pytest.mark.soak
def test_R22_no_unsafe_route_takes_a_cookie_for_a_wish(person, stranger, server, soaking):
    if hasattr(server, "database_url") and not soaking:
        pytest.skip("the proofs are looked at before the store is asked for anything but the session, as seen above")
    routes = create_routes(Settings(), Site(Settings()))
    found = [one for one in inventory(routes) if one.method in UNSAFE and one.path not in OPEN]
    assert len(found) > 40
    with Person(server.url, person.email) as other:
        other.log_in()
        good = person.proof()
        refused = {
            "no token": {"Origin": person.origin},
            "another session's token": {**good, "X-CSRF-Token": other.csrf},
            "a token of before the login": {**good, "X-CSRF-Token": stranger.csrf},
            "cross-site": {**good, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
            "no origin": {"X-CSRF-Token": person.csrf},
        }
        wrong = {}
        for entry in found:
            path = re.sub(r"\{[^}]*\}", "x", entry.path)
            for name, headers in refused.items():
                answer = person.request(entry.method, path, json={}, headers=headers)
                if answer.status_code != 403 or not answer.json()["type"].endswith("csrf-refused"):
                    wrong[f"{entry.method} {entry.path}, {name}"] = (answer.status_code, answer.json().get("type"))
    assert wrong == {}
    assert person.get("/api/v1/auth/session").status_code == 200


@pytest.mark.parametrize("proof", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}])
def test_R22_a_browsers_word_for_the_site_is_enough_beside_the_token(person, proof):
    answer = person.post("/api/v1/auth/logout", headers={**proof, "X-CSRF-Token": person.csrf})
    assert answer.status_code == 204


def test_R22_a_page_of_an_allowed_origin_may_call(person):
    headers = {"Origin": "https://app.example.org", "X-CSRF-Token": person.csrf, "Sec-Fetch-Site": "cross-site"}
    assert person.post("/api/v1/auth/logout", headers=headers).status_code == 204


def test_R22_another_sessions_token_is_refused(person, server):
    with Person(server.url, person.email) as other:
        other.log_in()
        answer = person.post("/api/v1/auth/logout", headers=person.proof(**{"X-CSRF-Token": other.csrf}))
    assert answer.status_code == 403


def test_R22_a_bearer_token_needs_no_proof(admin):
    assert admin.post("/api/v1/audit/verify").status_code == 200


def test_R22_with_both_the_bearer_counts_and_it_is_logged(person, server, admin_token):
    answer = person.get("/api/v1/auth/session", headers={"Authorization": f"Bearer {admin_token}"})
    assert answer.json()["user"]["email"] == server.admin_email
    server.wait_for_line(lambda line: "bearer token and session cookie in one request" in line)
    bad = person.get("/api/v1/auth/session", headers={"Authorization": "Bearer nonsense"})
    assert bad.status_code == 401, "a cookie does not stand in for a token that is refused"


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/auth/register"])
def test_R24_login_and_sign_up_need_the_token_of_the_visit(server, path):
    body = {"email": "login-csrf@example.org", "password": PASSWORD}
    with (
        Person(server.url, body["email"]) as attacker,
        Person(server.url, body["email"]) as victim,
        Talker(server.url) as nobody,
    ):
        attacker.visit()
        victim.visit()
        headers = [
            (nobody, {}),
            (nobody, {"Origin": server.url, "X-CSRF-Token": attacker.csrf}),
            (victim, {"Origin": server.url}),
            (victim, {"Origin": server.url, "X-CSRF-Token": attacker.csrf}),
            (victim, {"Origin": "https://evil.example", "X-CSRF-Token": victim.csrf}),
            (victim, {"X-CSRF-Token": victim.csrf}),
        ]
        for client, proof in headers:
            assert client.post(path, json=body, headers=proof).status_code == 403
        allowed = victim.post(path, json=body, headers=victim.proof())
        assert allowed.status_code in {202, 401}, "with both proofs only the credentials count"


def test_R24_a_visit_that_we_did_not_begin_is_not_taken(server):
    with Person(server.url, "x@example.org") as victim:
        victim.cookies.set("visit", "chosen-by-somebody-else-and-sixty-four-characters-long-0123456789")
        victim.visit()
        assert any(cookie.name == "visit" and "chosen" not in cookie.value for cookie in victim.cookies.jar)


def test_R18_a_csrf_token_is_no_visit_and_no_session(person, server):
    for name in ("visit", "session"):
        with Talker(server.url) as client:
            client.cookies.set(name, person.csrf)
            assert client.get("/api/v1/auth/session").status_code == 401
            assert "set-cookie" in client.get("/api/v1/auth/csrf").headers


def test_the_token_of_a_page_works_more_than_once_and_in_two_tabs(person):
    first = person.csrf
    person.visit()
    assert person.csrf != first
    for token in (first, person.csrf):
        answer = person.put("/api/v1/secrets/x", json={"value": "x"}, headers=person.proof(**{"X-CSRF-Token": token}))
        assert answer.json()["type"].endswith("permission-denied"), "the proof holds, the permission is missing"


ORIGINS = [
    "https://app.example.org.evil.example",
    "https://evil.app.example.org",
    "http://app.example.org",
    "https://app.example.org:444",
    "https://APP.example.org",
    "https://app.example.org/",
    "https://xapp.example.org",
    "https://app.example.or",
    "null",
    "*",
    "",
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_R26_no_other_origin_may_read(anyone, origin):
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        answer = anyone.request(method, "/api/v1/config", headers=headers)
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin"


def test_R26_an_allowed_origin_may_read_with_credentials(anyone):
    origin = {"Origin": "https://app.example.org"}
    answer = anyone.get("/api/v1/config", headers=origin)
    assert answer.headers["access-control-allow-origin"] == "https://app.example.org"
    assert answer.headers["access-control-allow-credentials"] == "true"
    before = anyone.options("/api/v1/settings/a", headers={**origin, "Access-Control-Request-Method": "PUT"})
    assert before.status_code == 204
    assert "PUT" in before.headers["access-control-allow-methods"]
    assert "X-CSRF-Token" in before.headers["access-control-allow-headers"]
