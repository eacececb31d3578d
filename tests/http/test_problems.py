"""Every error has its problem: the right status, a stable type, and nothing of the inside."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from talking import ask

from tradesense.adapters.memory.telemetry import MemoryErrorReporter
from tradesense.core import errors
from tradesense.core.errors import TradeSenseError, every_error
from tradesense.entrypoints.http import problems
from tradesense.entrypoints.http.app import create_app
from tradesense.entrypoints.http.problems import Refused, answer_to, fault

STATUS = {
    errors.InvalidInput: 400,
    errors.EventTooLarge: 413,
    errors.Unauthenticated: 401,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.LimitExceeded: 429,
    errors.Unavailable: 503,
    errors.IntegrityViolated: 500,
    errors.ConfigurationError: 500,
}
HEADERS = (
    "strict-transport-security",
    "x-content-type-options",
    "content-security-policy",
    "referrer-policy",
    "cache-control",
    "x-request-id",
)
INSIDE = "SELECT hunter2 FROM users at /srv/app/db.py version 3.2"


def made(kind, detail=INSIDE):
    match kind.__name__:
        case "SettingsInvalid":
            return kind([])
        case "MissingDependency":
            return kind("sqlalchemy")
        case "PasswordRefused":
            return kind("too-short", detail)
        case "LimitExceeded":
            return kind(detail, retry_after=12.3)
        case "AuditChainBroken":
            return kind(detail, seq=7)
        case _:
            return kind(detail, origin="secret://inside", mend="look inside")


class Raising:
    """A public configuration that raises what it is told to."""

    error: Exception

    async def public(self):
        raise self.error


async def test_R28_every_error_class_is_a_problem(services, subtests):
    config = Raising()
    app = create_app(dataclasses.replace(services, config=config))
    for kind in every_error():
        config.error = made(kind)
        answer = await ask(app, "GET", "/api/v1/config", headers=[(b"x-request-id", b"cid-1")])
        with subtests.test(kind.__name__):
            it_is_the_problem_of(kind, answer)


def it_is_the_problem_of(kind, answer):
    expected = next((STATUS[parent] for parent in kind.__mro__ if parent in STATUS), 500)
    assert answer.status == expected
    assert answer.headers["content-type"] == "application/problem+json; charset=utf-8"
    assert all(name in answer.headers for name in HEADERS)
    problem = json.loads(answer.body)
    assert problem["type"] == f"urn:tradesense:problem:{kind.code}"
    assert problem["title"] == kind.title
    assert problem["status"] == expected
    assert problem["instance"] == "urn:tradesense:request:cid-1"
    assert problem["correlation_id"] == "cid-1"
    if expected >= 500 or kind is errors.SecretDenied:
        assert problem["detail"] == kind.title
        assert "hunter2" not in answer.body.decode()
    assert "inside" not in answer.body.decode().replace(INSIDE, "")
    if expected == 401:
        assert answer.headers["www-authenticate"] == 'Bearer realm="tradesense"'
    if expected == 429:
        assert answer.headers["retry-after"] == "13"
    if expected == 503:
        assert int(answer.headers["retry-after"]) >= 1


async def test_R28_what_nobody_foresaw_is_500_told_once_and_tells_nothing(services, subtests):
    config, reporter = Raising(), MemoryErrorReporter()
    app = create_app(dataclasses.replace(services, config=config, errors=reporter))
    for error in (
        RuntimeError(INSIDE),
        ValueError(INSIDE),
        RecursionError(INSIDE),
        KeyError("x"),
        TimeoutError(),
        OSError(),
    ):
        config.error = error
        answer = await ask(app, "GET", "/api/v1/config", headers=[(b"x-request-id", b"cid-2")])
        with subtests.test(type(error).__name__):
            assert answer.status == 500
            assert json.loads(answer.body)["type"] == "urn:tradesense:problem:internal-error"
            assert all(name in answer.headers for name in HEADERS)
            assert not re.search(r"hunter2|Traceback|SELECT|/srv", answer.body.decode())
            told = reporter.reported.pop()
            assert not reporter.reported
            assert told.error == type(error).__name__
            assert told.context["correlation_id"] == "cid-2"


async def test_R28_a_handled_error_is_not_reported(services):
    config, reporter = Raising(), MemoryErrorReporter()
    config.error = errors.SettingNotFound()
    app = create_app(dataclasses.replace(services, config=config, errors=reporter))
    assert (await ask(app, "GET", "/api/v1/config")).status == 404
    assert not reporter.reported


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "no-route"),
        ("GET", "/nope", 404, "no-route"),
        ("GET", "/schema/nope.json", 404, "no-route"),
        ("GET", "/api/v1/../../etc/passwd", 404, "no-route"),
        ("DELETE", "/api/v1/config", 405, "method-not-allowed"),
        ("TRACE", "/api/v1/config", 405, "method-not-allowed"),
        ("BREW", "/api/v1/config", 405, "method-not-allowed"),
    ],
)
async def test_R28_litestars_own_errors_are_problems(services, method, path, status, code):
    answer = await ask(create_app(services), method, path)
    assert answer.status == status
    problem = json.loads(answer.body)
    assert problem["type"] == f"urn:tradesense:problem:{code}"
    assert "passwd" not in answer.body.decode()
    assert all(name in answer.headers for name in HEADERS)
    assert ("allow" in answer.headers) is (status == 405)


@pytest.mark.parametrize("path", ["/nope", "/api/v1/secrets/a", "/api/v1/config"])
def test_R25_security_headers_are_on_every_answer(anyone, path):
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"):
        answer = anyone.request(method, path)
        assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
        )
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "cache-control" in answer.headers
        assert not re.search(r"granian|litestar|\d+\.\d+", answer.headers.get("server", ""))
        if answer.content:
            assert "charset=utf-8" in answer.headers["content-type"]


def test_R25_every_status_that_can_be_brought_about_has_them(anyone, admin, person):
    answers = {
        200: anyone.get("/health/live"),
        304: anyone.get("/api/v1/config", headers={"If-None-Match": anyone.get("/api/v1/config").headers["etag"]}),
        400: anyone.post("/api/v1/auth/login", json={}),
        401: anyone.get("/api/v1/auth/session"),
        403: person.get("/api/v1/secrets"),
        404: admin.get("/api/v1/secrets/absent"),
        405: anyone.delete("/api/v1/config"),
        413: anyone.post("/api/v1/auth/login", content=b" " * 1_000_001, headers={"Content-Type": "application/json"}),
        415: anyone.post("/api/v1/auth/login", content=b"x", headers={"Content-Type": "text/plain"}),
        431: anyone.get("/", headers={"X": "x" * 17_000}),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["x-content-type-options"] == "nosniff", status
        assert answer.headers["content-security-policy"].startswith("default-src 'none'"), status
        if status >= 400:
            problem = answer.json()
            assert problem["status"] == status
            assert problem["correlation_id"] == answer.headers["x-request-id"]


def test_a_refusal_in_the_middle_of_an_error_says_where():
    refusal = Refused(problems.INVALID_BODY, faults=[fault("Expected `str`, got `int` - at `$.a[0]`")])
    answer = answer_to(refusal, correlation_id="c")
    problem = json.loads(answer.body)
    assert problem["errors"] == [{"path": "$.a[0]", "message": "Expected `str`, got `int`"}]
    assert problem["detail"] == "$.a[0]: Expected `str`, got `int`"


def test_the_detail_of_a_bad_body_or_parameter_says_where_and_what_and_no_value(anyone, admin):
    body = anyone.post("/api/v1/auth/login", json={"email": 7, "password": "canary-4410"}).json()
    assert body["type"].endswith(":invalid-body")
    assert "$.email" in body["detail"]
    assert "`str`" in body["detail"]
    mode = anyone.post(
        "/api/v1/auth/login", json={"email": "a@b.example", "password": "x", "mode": "canary-4410"}
    ).json()
    assert "$.mode" in mode["detail"]
    parameter = admin.get("/api/v1/secrets?limit=canary-4410").json()
    assert parameter["type"].endswith(":invalid-parameter")
    assert "limit" in parameter["detail"]
    assert "canary" not in f"{body}{mode}{parameter}"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Invalid enum value 'hunter2' - at `$.mode`", {"path": "$.mode", "message": "Invalid enum value"}),
        ("Invalid enum value 'hun'ter2'", {"path": "$", "message": "Invalid enum value"}),
        ("Invalid value 'a\nb' - at `$`", {"path": "$", "message": "Invalid value"}),
        ("Invalid enum value 'a - at `b' - at `$.mode`", {"path": "$.mode", "message": "Invalid enum value"}),
        ("Invalid enum value ' - at `hunter2'", {"path": "$", "message": "Invalid enum value"}),
        (
            "Object contains unknown field `value '`",
            {"path": "$", "message": "Object contains unknown field `value '`"},
        ),
        ("x" * 500, {"path": "$", "message": "x" * 200}),
        ("\ud800", {"path": "$", "message": "?"}),
    ],
)
def test_R52_values_are_cut_out_of_messages(message, told):
    assert fault(message) == told


def test_R28_codes_are_unique():
    codes = [kind.code for kind in every_error()]
    codes += [kind.code for kind in vars(problems).values() if isinstance(kind, problems.Kind)]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)
    assert issubclass(errors.PasswordRefused, TradeSenseError)
