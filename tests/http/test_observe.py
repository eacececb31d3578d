"""Names, traces, metrics and log lines of requests, under friendly and hostile callers."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import os
import re
import secrets

import pytest
import structlog
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from talking import ask, speak
from test_front import request

from tradesense.adapters.memory.telemetry import MemoryTelemetry
from tradesense.core.errors import DatabaseUnavailable
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.cause import CAUSE
from tradesense.core.telemetry.models import TraceContext
from tradesense.core.telemetry.service import FanOut
from tradesense.entrypoints import logs
from tradesense.entrypoints.http.app import create_app
from tradesense.settings.schema import TelemetrySettings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def lines_of(server):
    return [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]


def line_of(server, correlation):
    server.wait_for_line(lambda line: correlation in line)
    (found,) = [line for line in lines_of(server) if line.get("correlation_id") == correlation]
    return found


def test_a_callers_correlation_id_is_used_and_returned(anyone, server):
    answer = anyone.get(
        "/api/v1/config?token=hunter2", headers={"X-Request-ID": "order-4711.a_b", "User-Agent": "me/1"}
    )
    assert answer.headers["x-request-id"] == "order-4711.a_b"
    line = line_of(server, "order-4711.a_b")
    assert line["event"] == "request"
    assert line["level"] == "info"
    assert line["method"] == "GET"
    assert line["path"] == line["route"] == "/api/v1/config"
    assert line["status"] == 200
    assert line["user_agent"] == "me/1"
    assert line["client"] == "127.0.0.1"
    assert line["duration_ms"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["timestamp"])
    assert "hunter2" not in server.output, "a query is where tokens turn up by mistake"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "a\tb", "é", "a/b", "a;b", '"'])
def test_R63_a_correlation_id_that_is_not_plain_is_replaced(anyone, given):
    answer = anyone.get("/health/live", headers={"X-Request-ID": given.encode("utf-8")})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_two_requests_have_two_names(anyone):
    names = {anyone.get("/health/live").headers["x-request-id"] for _ in range(20)}
    assert len(names) == 20


def test_the_trace_of_the_caller_goes_on(anyone, server):
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-00", "X-Request-ID": "trace-goes-on"}
    answer = anyone.get("/health/startup", headers=headers)
    version, trace, span, flags = answer.headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "00")
    assert span != PARENT
    assert line_of(server, "trace-goes-on")["trace_id"] == TRACE


@pytest.mark.parametrize(
    "header",
    [
        "nonsense",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-x",
        "é",
    ],
)
def test_a_malformed_trace_is_not_gone_on_with(anyone, header):
    answer = anyone.get("/health/startup", headers={"traceparent": header.encode()})
    assert answer.status_code == 200
    assert "traceparent" not in answer.headers


async def traced(services, ratio):
    telemetry = MemoryTelemetry(clock=services.clock)
    settings = replace(services.settings, telemetry=replace(services.settings.telemetry, sample_ratio=ratio))
    fan_out = FanOut(metrics=[telemetry], traces=[telemetry])
    return telemetry, create_app(dataclasses.replace(services, settings=settings, telemetry=fan_out))


async def test_the_ratio_decides_on_new_traces_and_the_caller_on_its_own(services):
    for ratio, own, recorded, quiet in ((0.0, 0, 1, 0), (1.0, 1, 1, 0)):
        telemetry, app = await traced(services, ratio)
        await ask(app, "GET", "/health/startup")
        assert len(telemetry.spans) == own
        await ask(app, "GET", "/health/startup", headers=[(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())])
        assert len(telemetry.spans) == own + recorded
        await ask(app, "GET", "/health/startup", headers=[(b"traceparent", f"00-{TRACE}-{PARENT}-00".encode())])
        assert len(telemetry.spans) == own + recorded + quiet


async def test_a_part_of_the_traces_is_recorded(services):
    telemetry, app = await traced(services, 0.5)
    for _ in range(200):
        await ask(app, "GET", "/health/live")
    assert 60 < len(telemetry.spans) < 140


async def test_a_span_is_named_by_route_and_carries_what_happened(services):
    telemetry, app = await traced(services, 1.0)
    traceparent = (b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())
    await ask(app, "GET", "/api/v1/flags/some-flag", headers=[traceparent])
    await ask(app, "GET", "/nope")
    one, two = telemetry.spans
    assert one.name == "GET /api/v1/flags/{key}"
    assert one.context.trace_id == TRACE
    assert one.parent.span_id == PARENT
    assert one.attributes["http.response.status_code"] == 401
    assert two.name == "GET _unknown"
    assert two.attributes["http.response.status_code"] == 404


def series(anyone):
    families = text_string_to_metric_families(anyone.get("/metrics").text)
    return {family.name: family.samples for family in families}


def label_sets(samples):
    """The label sets that a request chooses, without the buckets that each of them has."""
    return {tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le")) for sample in samples}


@pytest.mark.soak
def test_R63_hostile_paths_and_methods_do_not_grow_the_metrics(anyone, server, soaking):
    before = label_sets(series(anyone).get("http_server_request_duration_seconds", []))
    for number in range(5000 if soaking else 150):
        anyone.get(f"/random-{secrets.token_hex(4)}/{number}")
        anyone.get(f"/api/v1/flags/key-{number}")
    for number in range(20):
        speak(server.url, request(server, f"M{number} /api/v1/config HTTP/1.1", **{"Content-Length": None}))
    found = series(anyone)["http_server_request_duration_seconds"]
    assert len(label_sets(found) - before) < 20, (
        "hundreds and thousands of hostile requests make a handful of label sets"
    )
    assert len(label_sets(found)) < 1000
    routes = {sample.labels["http_route"] for sample in found}
    assert "_unknown" in routes
    assert not any("random" in route or "key-" in route for route in routes)
    methods = {sample.labels["http_request_method"] for sample in found}
    assert methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "_OTHER"}


def test_requests_are_counted_by_route_and_status(anyone):
    def count(status):
        return sum(
            sample.value
            for sample in series(anyone).get("http_server_request_duration_seconds", [])
            if sample.name.endswith("_count")
            and sample.labels["http_route"] == "/api/v1/auth/session"
            and sample.labels["http_response_status_code"] == status
        )

    before = count("401")
    for _ in range(3):
        anyone.get("/api/v1/auth/session")
    assert count("401") == before + 3


HOSTILE = "evil\x1b[31m\u2028\u009b{level}%s%n"


def test_R63_what_a_caller_sends_cannot_break_a_log_line(server, anyone):
    path = "/evil%0d%0a%1b%5b31m%e2%80%a8%c2%9b%7blevel%7d%25s"
    anyone.get(path, headers={"X-Request-ID": "hostile-1", "User-Agent": "a\xe9\x85{0}%s".encode("latin-1")})
    line = line_of(server, "hostile-1")
    assert line["path"] == "/evil\r\n\x1b[31m\u2028\x9b{level}%s"
    raw = next(line for line in server.output.split("\n") if "hostile-1" in line)
    assert raw.isascii()
    assert not re.search(r"[\x00-\x1f\x7f]", raw)


def test_R63_every_line_is_one_json_object_in_utc(server, anyone):
    anyone.get("/health/live")
    logged = [line for line in server.output.split("\n") if line and not line.startswith(("url:", "admin:", "to:"))]
    parsed = [json.loads(line) for line in logged if line.startswith("{")]
    assert len(parsed) > 10
    assert all({"timestamp", "level", "event"} <= set(line) for line in parsed)
    assert all(line["timestamp"].endswith("Z") for line in parsed)


@pytest.fixture
def logged():
    """The logging of this process, put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.parametrize("name", ["json", "console"])
def test_R63_both_ways_of_logging_end_in_the_same_harmless_lines(logged, name):
    logs.configure(TelemetrySettings(log_format=name), stream=logged)
    token = CAUSE.set(("cid-9", TraceContext("9" * 32, "8" * 16, sampled=True)))
    structlog.get_logger("a").info("told", who=HOSTILE, secret=Secret("hunter2"))
    logging.getLogger("b").warning(HOSTILE)
    logging.getLogger("b").warning("with %s", HOSTILE)
    logging.getLogger("b").debug("not told")
    CAUSE.reset(token)
    lines = logged.getvalue().splitlines()
    assert len(lines) == 3
    assert "hunter2" not in logged.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", logged.getvalue())
    if name == "json":
        parsed = [json.loads(line) for line in lines]
        assert [line["level"] for line in parsed] == ["info", "warning", "warning"]
        assert all(line["correlation_id"] == "cid-9" and line["trace_id"] == "9" * 32 for line in parsed)
        assert parsed[0]["who"] == HOSTILE
        assert parsed[1]["event"] == HOSTILE, "a text without arguments is not a format"


def test_values_that_are_no_json_are_shown_all_the_same(logged):
    logs.configure(TelemetrySettings(), stream=logged)
    structlog.get_logger("a").info("odd", lone="\ud800", big=10**400, obj=object(), key={1: 2}, nan=float("inf"))
    try:
        int("boom\x1b")
    except ValueError:
        structlog.get_logger("a").exception("failed")
    odd, failed = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert odd["lone"] == "\ud800"
    assert "ValueError: invalid literal" in failed["exception"]


async def test_the_access_log_goes_on_without_a_place_to_write(services):
    read, write = os.pipe()
    os.close(read)
    app = create_app(services, log_to=write)
    assert (await ask(app, "GET", "/health/startup")).status == 200
    os.close(write)
    assert (await ask(app, "GET", "/health/startup")).status == 200


@pytest.mark.parametrize(("level", "seen"), [("info", 2), ("warning", 1), ("error", 1)])
async def test_a_high_log_level_leaves_what_is_the_servers_fault(services, level, seen):
    class Away:
        async def public(self):
            raise DatabaseUnavailable

    settings = replace(services.settings, telemetry=replace(services.settings.telemetry, log_level=level))
    read, write = os.pipe()
    app = create_app(dataclasses.replace(services, settings=settings, config=Away()), log_to=write)
    await ask(app, "GET", "/health/startup")
    await ask(app, "GET", "/api/v1/config")
    os.close(write)
    with os.fdopen(read) as stream:
        lines = [line for line in stream if "config" in line or "startup" in line]
    assert len(lines) == seen


async def test_a_client_that_goes_away_is_logged_as_such(services):
    read, write = os.pipe()
    app = create_app(services, log_to=write)

    async def gone():
        return {"type": "http.disconnect"}

    answer = await ask(app, "POST", "/api/v1/auth/login", body=b"{}", receive=gone)
    assert answer.status == 400
    os.close(write)
    with os.fdopen(read) as stream:
        assert " 400 " in (text := stream.read()) or json.loads(text)["status"] == 400
