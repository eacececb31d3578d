"""Every route has exactly one guard, and the guard holds."""

from __future__ import annotations

import json
import re

import pytest
from litestar import Litestar, Router, get
from talking import ask

from tradesense.core.errors import ConfigurationError
from tradesense.core.identity.roles import BUILT_IN, closure
from tradesense.core.identity.rules import Rules
from tradesense.entrypoints.http.app import create_app, create_routes
from tradesense.entrypoints.http.guards import AUTHENTICATED, PUBLIC, authorize, guard, inventory, public
from tradesense.entrypoints.http.site import Site
from tradesense.settings.schema import HttpSettings, Settings, TelemetrySettings

PERMISSIONS = {
    "secrets:delete",
    "secrets:read",
    "secrets:write",
    "flags:approve",
    "flags:evaluate",
    "flags:read",
    "flags:write",
    "experiments:write",
    "config:read",
    "config:write",
    "cache:read",
    "cache:write",
    "events:publish",
    "events:read-dead",
    "events:write-dead",
    "audit:read",
    "telemetry:read",
    "webhooks:read",
    "webhooks:write",
    "users:export",
    "users:read",
    "users:write",
    "plugins:read",
    "identity:self",
    "roles:read",
    "roles:write",
    "tokens:introspect",
}

OPEN = {
    ("POST", "/api/v1/auth/register"),
    ("POST", "/api/v1/auth/verify-email"),
    ("POST", "/api/v1/auth/verify-email/resend"),
    ("POST", "/api/v1/auth/password/forgot"),
    ("POST", "/api/v1/auth/password/reset"),
    ("POST", "/api/v1/auth/email/confirm"),
    ("POST", "/api/v1/auth/login"),
    ("POST", "/api/v1/auth/token/refresh"),
    ("POST", "/api/v1/auth/token/revoke"),
    ("GET", "/api/v1/auth/csrf"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/api/v1/config"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/health/startup"),
}
SCHEMA = "/schema"
ENDING = ("logout", "logout-all", "logout-others", "step-up")
"""Routes that end the session with which all others are tried."""
ENDLESS = {"/ofrep/v1/events"}
"""Streams, of which only the head of the answer is read."""


def routes(environment="production"):
    settings = Settings(environment=environment, http=HttpSettings(base_url="https://api.example.org"))
    return create_routes(settings, Site(settings))


def test_R38_every_route_has_exactly_one_guard():
    entries = inventory(routes())
    assert len(entries) > 30
    assert {entry.guard for entry in entries} == {PUBLIC, AUTHENTICATED, *PERMISSIONS}


def test_R38_the_public_routes_are_these_and_no_others():
    found = {(entry.method, entry.path) for entry in inventory(routes()) if entry.guard == PUBLIC}
    assert {one for one in found if not one[1].startswith(SCHEMA)} == OPEN


def test_R38_no_public_route_changes_anything_but_by_proof():
    unsafe = {(method, path) for method, path in OPEN if method != "GET"}
    by_link = {("POST", f"/api/v1/auth/{name}") for name in ("verify-email", "password/reset", "email/confirm")}
    asking_for_a_link = {("POST", f"/api/v1/auth/{name}") for name in ("verify-email/resend", "password/forgot")}
    assert unsafe == by_link | asking_for_a_link | {
        ("POST", "/api/v1/auth/register"),
        ("POST", "/api/v1/auth/login"),
        ("POST", "/api/v1/auth/token/refresh"),
        ("POST", "/api/v1/auth/token/revoke"),
    }


def test_R38_an_application_with_an_unguarded_route_does_not_start():
    @get("/open")
    async def forgotten() -> None: ...

    with pytest.raises(ConfigurationError, match="/open declares no guard"):
        inventory(Litestar([forgotten], before_request=authorize, openapi_config=None))


def test_R38_a_route_cannot_replace_its_guard():
    async def nothing(_):
        return None

    @get("/one", opt=guard("secrets:read"), before_request=nothing)
    async def around() -> None: ...

    @get("/two", opt=public())
    async def below() -> None: ...

    for handler in (around, Router("/", route_handlers=[below], before_request=nothing)):
        with pytest.raises(ConfigurationError, match="replaces its guard"):
            inventory(Litestar([handler], before_request=authorize, openapi_config=None))


@pytest.mark.parametrize(
    ("environment", "chosen", "expected"),
    [
        ("development", None, PUBLIC),
        ("testing", None, PUBLIC),
        ("staging", None, "telemetry:read"),
        ("production", None, "telemetry:read"),
        ("production", True, PUBLIC),
        ("development", False, "telemetry:read"),
    ],
)
def test_who_may_read_metrics_is_a_setting_with_a_safe_default(environment, chosen, expected):
    settings = Settings(environment=environment, telemetry=TelemetrySettings(public_metrics=chosen))
    entries = inventory(create_routes(settings, Site(settings)))
    assert {entry.guard for entry in entries if entry.path == "/metrics"} == {expected}


def path_of(entry):
    """A path of the route; what it names does not exist."""
    return re.sub(r"\{\w+\}", "some-name", entry.path.replace("{path}", "some/path"))


def test_without_credentials_every_guarded_route_is_401(anyone):
    for entry in inventory(routes("development")):
        if entry.guard == PUBLIC:
            continue
        answer = anyone.request(entry.method, path_of(entry), json={} if entry.method in {"POST", "PUT"} else None)
        assert answer.status_code == 401, entry
        assert answer.headers["www-authenticate"].startswith("Bearer"), entry
        assert answer.json()["type"] == "urn:tradesense:problem:unauthenticated", entry


@pytest.mark.parametrize("authorization", ["Bearer x", "Bearer", "Basic dTpw", "Bearer a.b.c", "bearer \xe9"])
def test_with_bad_credentials_it_is_401_and_says_that_the_token_was_wrong(anyone, authorization):
    answer = anyone.get("/api/v1/auth/session", headers={"Authorization": authorization.encode("latin-1")})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_two_roles_and_every_route_between_them(person, admin):
    """A user reaches what the role permits and is refused all else; an administrator is refused nothing."""
    held = Rules(closure(["user"], BUILT_IN))
    for entry in inventory(routes("development")):
        if entry.guard in {PUBLIC, AUTHENTICATED} or entry.path.endswith(ENDING):
            continue
        body = {} if entry.method in {"POST", "PUT"} else None
        if entry.path in ENDLESS:
            for caller in (person, admin):
                with caller.stream(entry.method, path_of(entry)) as streamed:
                    assert streamed.status_code == 200, entry
            continue
        answer = person.request(entry.method, path_of(entry), json=body, headers=person.proof())
        refused = answer.status_code == 403 and answer.json()["type"].endswith("permission-denied")
        assert refused is not held.permits(entry.guard), entry
        assert admin.request(entry.method, path_of(entry), json=body).status_code not in {401, 403}, entry


def test_R61_a_refusal_is_on_the_trail(person, admin):
    assert person.get("/api/v1/secrets/team/db").status_code == 403
    user = person.get("/api/v1/auth/session").json()["user"]["id"]
    rows = admin.get("/api/v1/audit", params={"actor": user, "action": "identity.denied"}).json()["items"]
    assert rows[-1]["outcome"] == "denied"
    assert rows[-1]["subject"].startswith("GET /api/v1/secrets/")
    assert rows[-1]["detail"] == {"needs": "secrets:read:team/db", "reason": "permission-denied"}
    assert rows[-1]["actor"]["address"] == "127.0.0.1"


async def test_an_unguarded_handler_would_be_refused_even_if_it_got_there(services):
    app = create_app(services)
    litestar = app._app._app
    handler = next(route for route in litestar.routes if route.path == "/health/startup").route_handlers[0]
    del handler.opt["guard"]
    answer = await ask(app, "GET", "/health/startup")
    assert answer.status == 403
    assert json.loads(answer.body)["type"].endswith("permission-denied")
