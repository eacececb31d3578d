"""What operators look at: health, readiness, metrics, the OpenAPI document, and an outage."""

from __future__ import annotations

import dataclasses

import pytest
from talking import ask

from tradesense.core.errors import DatabaseUnavailable
from tradesense.core.telemetry.models import Health, Status
from tradesense.core.telemetry.service import HealthService
from tradesense.entrypoints.http.app import create_app
from tradesense.entrypoints.http.readiness import Readiness


def test_health_tells_one_word_to_anyone_and_the_rest_to_who_may_know(anyone, admin):
    for path in ("/health/live", "/health/ready", "/health/startup"):
        assert anyone.get(path).json() == {"status": "up"}
    assert anyone.get("/health").status_code == 401
    detail = admin.get("/health").json()
    assert detail["status"] == "up"
    assert any(check["name"] == "database" for check in detail["checks"])


class Check:
    name = "thing"
    essential = True

    def __init__(self):
        self.status = Status.UP
        self.asked = 0

    async def check(self):
        self.asked += 1
        return Health(name=self.name, status=self.status, detail="where it is")


class Clock:
    def __init__(self, clock):
        self.now = clock.now
        self.seconds = 0.0

    def monotonic(self):
        return self.seconds


async def test_readiness_follows_the_dependencies_and_asks_them_once_a_second(services):
    check, clock = Check(), Clock(services.clock)
    readiness = Readiness(HealthService([check]), clock)
    app = create_app(services, readiness=readiness)
    for _ in range(5):
        assert (await ask(app, "GET", "/health/ready")).status == 200
    assert check.asked == 1
    check.status = Status.DOWN
    clock.seconds = 1.1
    down = await ask(app, "GET", "/health/ready")
    assert (down.status, down.body) == (503, b'{"status":"down"}')
    assert b"where" not in down.body
    assert (await ask(app, "GET", "/health/live")).status == 200
    check.status = Status.DEGRADED
    clock.seconds = 2.2
    assert (await ask(app, "GET", "/health/ready")).body == b'{"status":"degraded"}'
    readiness.drain()
    draining = await ask(app, "GET", "/health/ready")
    assert (draining.status, draining.body) == (503, b'{"status":"draining"}')


SENTENCES = ("Anyone may", "Needs an authenticated", "Needs the permission")


def test_openapi_names_every_route_its_guard_and_no_secret(anyone):
    answer = anyone.get("/schema/openapi.json")
    assert answer.headers["content-type"].startswith("application/")
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert set(document["components"]["securitySchemes"]) == {"session", "bearer", "api-key", "csrf"}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert "description" in operation, (path, method)
            assert any(words in operation["description"] for words in SENTENCES), (path, method)
            guarded = "Anyone may" not in operation["description"]
            assert bool(operation.get("security")) is guarded, (path, method)
            if guarded and method != "get":
                assert operation["security"][0] == {"session": [], "csrf": []}
    schemas = document["components"]["schemas"]
    assert schemas["LoginBody"]["properties"]["password"] == {"type": "string", "format": "password"}
    assert "example" not in str(schemas["NewValue"])
    assert {"get", "put", "delete"} <= set(document["paths"]["/api/v1/secrets/{path}"])


@pytest.mark.parametrize(
    "path",
    ["", "/", "/nope", "/nope.json", "/swagger", "/redoc", "/elements", "/openapi.yaml", "/a/b"],
)
def test_R28_beside_the_document_there_is_nothing_under_schema(anyone, path):
    answer = anyone.get(f"/schema{path}", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:tradesense:problem:no-route")
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_metrics_can_be_read_by_anyone_in_development(anyone):
    answer = anyone.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "http_server_request_duration_seconds_bucket" in answer.text


async def test_a_dependency_that_is_away_is_503_and_its_address_is_not_told(services):
    class Away:
        provider = "x"

        async def public(self):
            raise DatabaseUnavailable("database at 10.0.0.9 refused")

    app = create_app(dataclasses.replace(services, config=Away()))
    answer = await ask(app, "GET", "/api/v1/config")
    assert answer.status == 503
    assert b"10.0.0.9" not in answer.body
    assert "retry-after" in answer.headers


def test_openapi_says_what_is_refused_and_how(anyone):
    document = anyone.get("/schema/openapi.json").json()
    assert document["components"]["schemas"]["LoginBody"]["additionalProperties"] is False
    put = document["paths"]["/api/v1/secrets/{path}"]["put"]["responses"]
    assert {"200", "400", "401", "403", "404", "409", "413", "415", "429", "503"} <= put.keys()
    assert put["409"]["content"].keys() == {"application/problem+json"}
    assert "content" not in document["paths"]["/api/v1/auth/logout"]["post"]["responses"]["204"]


def test_options_names_every_method_of_a_path(anyone):
    answer = anyone.request("OPTIONS", "/api/v1/secrets/a/b")
    assert answer.status_code == 204
    assert {"DELETE", "GET", "OPTIONS", "PUT"} <= set(answer.headers["allow"].split(", "))
