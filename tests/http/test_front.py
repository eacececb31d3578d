"""What no route would take is refused before anything is parsed: over bare sockets, as hostile clients write."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from urllib.parse import urlsplit

import pytest
from talking import read_answer, speak

from tradesense.entrypoints.http.app import create_routes
from tradesense.entrypoints.http.body import deeper_than
from tradesense.entrypoints.http.guards import inventory
from tradesense.entrypoints.http.site import Site
from tradesense.entrypoints.http.tokens import FORMS
from tradesense.settings.schema import Settings

PROBLEM = "urn:tradesense:problem:"


def kind(answer):
    return json.loads(answer.body)["type"].removeprefix(PROBLEM)


def request(server, head, body=b"", **headers):
    lines = {"Host": urlsplit(server.url).netloc, "Content-Length": str(len(body)), **headers}
    text = "\r\n".join([head, *(f"{name}: {value}" for name, value in lines.items() if value is not None)])
    return text.encode("latin-1") + b"\r\n\r\n" + body


UNSAFE = {"POST", "PUT", "DELETE"}
POSTS = [entry for entry in inventory(create_routes(Settings(), Site(Settings()))) if entry.method in UNSAFE]
NOT_JSON = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/json; charset=latin-1",
    "application/jsonx",
    "text/json",
    "application/+json",
    "",
    None,
]


@pytest.mark.parametrize("media_type", NOT_JSON)
def test_R23_a_body_that_is_not_called_json_is_415_on_every_route(server, media_type):
    for entry in POSTS:
        if entry.path in FORMS and str(media_type).endswith("urlencoded"):
            continue  # RFC 7009 and RFC 7662 ask for forms there
        path = entry.path.replace("{key}", "k").replace("{path}", "p")
        message = request(server, f"{entry.method} {path} HTTP/1.1", b"{}", **{"Content-Type": media_type})
        answer = speak(server.url, message)
        assert answer.status == 415, (entry, media_type)
        assert kind(answer) == "unsupported-media-type"


def test_R23_an_empty_body_that_is_called_a_form_is_415_as_well(anyone):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert anyone.post("/api/v1/auth/logout", headers=headers).status_code == 415


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/ld+json"],
)
def test_R23_json_is_taken_under_all_its_names(server, media_type):
    body = b'{"email":"a@b.example","password":"x","mode":"token"}'
    message = request(server, "POST /api/v1/auth/login HTTP/1.1", body, **{"Content-Type": media_type})
    assert speak(server.url, message).status == 401


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_R56_encoded_bodies_are_415(anyone, encoding):
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = anyone.post("/api/v1/auth/login", headers=headers, content=b"{}")
    assert answer.status_code == 415


def test_R56_a_body_above_the_bound_is_413_before_it_is_sent(server):
    head = request(
        server,
        "POST /api/v1/auth/login HTTP/1.1",
        **{"Content-Type": "application/json", "Content-Length": "1000000000"},
    )
    answer = speak(server.url, head)
    assert answer.status == 413
    assert kind(answer) == "body-too-large"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("length", ["99999999999999999999", "1000001"])
def test_R56_a_length_that_is_a_little_or_far_too_large_is_413(server, length):
    head = {"Content-Type": "application/json", "Content-Length": length}
    with contextlib.suppress(AssertionError):  # a length beyond 64 bits is refused by the server itself, in its way
        answer = speak(server.url, request(server, "POST /api/v1/auth/login HTTP/1.1", **head))
        assert answer.status in {400, 413}


def test_R56_a_chunked_body_is_counted_and_cut_off(server):
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=15) as connection:
        head = {"Content-Type": "application/json", "Content-Length": None, "Transfer-Encoding": "chunked"}
        connection.sendall(request(server, "POST /api/v1/auth/login HTTP/1.1", **head))
        chunk = b"10000\r\n" + b"[" * 0x10000 + b"\r\n"
        with contextlib.suppress(OSError):  # the server may close while we are still sending
            for _ in range(64):
                connection.sendall(chunk)
        answer = read_answer(connection)
    assert answer.status == 413


def test_R56_a_chunked_body_within_the_bound_is_taken(server):
    head = {"Content-Type": "application/json", "Content-Length": None, "Transfer-Encoding": "chunked"}
    body = b'{"email":"a@b.example","password":"x","mode":"token"}'
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])
    message = request(server, "POST /api/v1/auth/login HTTP/1.1", **head) + chunks
    assert speak(server.url, message).status == 401


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"email":' + b"[" * 65 + b"]" * 65 + b"}",
        b'[{"a":' * 5_000,
    ],
)
def test_R56_json_that_nests_too_deep_is_400(anyone, bomb):
    for path in ("/api/v1/auth/login", "/ofrep/v1/evaluate/flags/x", "/api/v1/settings/a"):
        answer = anyone.request(
            "PUT" if "settings" in path else "POST", path, content=bomb, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400
        assert answer.json()["type"] == f"{PROBLEM}json-too-deep"


@pytest.mark.parametrize(
    ("text", "deep"),
    [
        (b"[" * 64 + b"]" * 64, False),
        (b"[" * 65 + b"]" * 65, True),
        (b'{"a":' * 64 + b"1" + b"}" * 64, False),
        (b'["' + b"[" * 1000 + b'"]', False),
        (b'["\\"' + b"[" * 1000 + b'"]', False),
        (b'["\\\\",' + b"[" * 100, True),
        (b"[" + b"[]," * 10_000 + b"[]]", False),
        (b"[[" + b'{"a":[1]},' * 1000 + b"1]]", False),
        (b'"' + b"[" * 100, False),
        (b"[" * 65 + b'"' + b"]" * 100, True),
        (b'["]' * 70, False),
        (b'"\\\\"' + b"[" * 65, True),
        (b"", False),
    ],
)
def test_depth_is_that_of_the_text_and_not_of_its_strings(text, deep):
    assert deeper_than(64, text) is deep


@pytest.mark.timeout(60)  # one pass takes milliseconds; looking from every quote for an end would take an hour
@pytest.mark.parametrize(
    ("text", "deep"),
    [
        (b"[]" * 500_000, False),
        (b'"[",' * 250_000, False),
        (b"[" * 1_000_000, True),
        (b'"\\' * 500_000, False),
        (b'""[]' * 250_000, False),
        (b"[" * 64 + b'"' + b'\\"' * 500_000 + b"[", False),
        (b"[" * 65 + b'"' + b'\\"' * 500_000, True),
        (b"{}" * 65 + b'"' + b'\\"' * 500_000, False),
        (b"{}" * 65 + b'"' * 999_999, False),
        (b"{}" * 65 + b'"' + b"\\" * 999_999, False),
        (b"{}" * 65 + b'"a' * 500_000, False),
    ],
    ids=range(11),
)
def test_R56_the_depth_of_the_largest_body_is_measured_in_one_pass(text, deep):
    assert deeper_than(64, text) is deep


@pytest.mark.timeout(60)
def test_R56_no_body_keeps_a_process_from_answering(anyone):
    """Each of these once took time that grew with the square of its length."""
    long = [
        b"[" * 65 + b'"' + b'\\"' * 400_000,
        b'{"' + b"value '" * 120_000 + b'":1}',
        b'{"' + b" - at `" * 120_000 + b'":1}',
        b'{"email":"a@b.example","password":"' + "\u0301\u0327".encode() * 200_000 + b'"}',
        b'{"email":"' + "\u0301\u0327".encode() * 200_000 + b'","password":"x"}',
    ]
    for path in ("/api/v1/auth/login", "/api/v1/auth/register"):
        for body in long:
            answer = anyone.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in {400, 401, 403}


MALFORMED = [
    b"",
    b"{",
    b"nul",
    b'{"email":}',
    b"\xff\xfe",
    b'{"email":"\xff"}',
    b'{"email":"\\ud800","password":"x"}',
    b'{"email":1e400,"password":"x"}',
    b'{"email":NaN}',
    b"[]",
    b'"text"',
    b"1" * 5000,
    b'{"email":["a"],"password":"x"}',
    b'{"email":"a@b.example"}',
    b'{"email":"a@b.example","password":1}',
    b'{"email":"a@b.example","password":"x","mode":"both"}',
    b'{"email":"a@b.example","password":"x","extra":1}',
    b'{"email":"' + b"a" * 400 + b'","password":"x"}',
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_a_body_that_is_malformed_or_mistyped_is_400_and_says_where(anyone, body):
    answer = anyone.post("/api/v1/auth/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["type"] == f"{PROBLEM}invalid-body"
    assert problem["errors"][0]["path"].startswith("$")


def test_a_mistyped_body_is_not_read_loosely(admin):
    for body in ({"value": "x", "cas": "1"}, {"value": 1}, {"value": "x", "cas": -1}, {"value": "x", "cas": True}):
        assert admin.put("/api/v1/secrets/loose", json=body).status_code == 400
    assert admin.put("/api/v1/settings/loose", json={"value": 1, "public": "yes"}).status_code == 400


def test_R52_values_are_not_echoed(anyone):
    canary = "canary-6c1f"
    bodies = [
        {"email": "a@b.example", "password": [canary]},
        {"email": "a@b.example", "password": "x", "mode": canary},
        {"email": {"x": canary}, "password": canary},
    ]
    for body in bodies:
        assert canary not in anyone.post("/api/v1/auth/login", json=body).text
    assert canary not in anyone.get("/api/v1/secrets", params={"limit": canary}).text


def test_R56_large_headers_are_431(anyone):
    answer = anyone.get("/api/v1/config", headers={"X-Large": "x" * 20_000})
    assert answer.status_code == 431
    assert answer.json()["type"] == f"{PROBLEM}headers-too-large"


def test_R56_many_parameters_are_400_and_a_long_query_414(anyone):
    assert anyone.get("/api/v1/config?" + "&".join(f"a{number}=1" for number in range(100))).status_code == 200
    many = anyone.get("/api/v1/config?" + "a=1&" * 100 + "a=1")
    assert many.status_code == 400
    assert many.json()["type"] == f"{PROBLEM}malformed-request"
    assert anyone.get("/api/v1/config?a=" + "x" * 9_000).status_code == 414


def test_R56_a_body_that_does_not_come_is_408(server):
    began = time.monotonic()
    head = {"Content-Type": "application/json", "Content-Length": "100"}
    answer = speak(server.url, request(server, "POST /api/v1/auth/login HTTP/1.1", **head), seconds=20)
    assert answer.status == 408
    assert kind(answer) == "body-timeout"
    assert time.monotonic() - began < 15


HOSTS = [
    ("evil.example", 400),
    ("127.0.0.1.evil.example", 400),
    ("evil.example:8000", 400),
    ("localhost", 200),
    ("LOCALHOST:1", 200),
    ("[::1]:9", 200),
    ("127.0.0.1:65535", 200),
    ("localhost.", 200),
    ("localhost:80:80", 400),
    ("localhost@evil.example", 400),
    ("[::1", 400),
    ("", 400),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_R27_a_host_that_is_not_ours_is_refused(server, host, status):
    answer = speak(server.url, request(server, "GET /api/v1/config HTTP/1.1", **{"Host": host, "Content-Length": None}))
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_probes_may_ask_by_any_name(server):
    for path in ("/health/live", "/health/ready"):
        head = {"Host": "10.1.2.3:8000", "Content-Length": None}
        assert speak(server.url, request(server, f"GET {path} HTTP/1.1", **head)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("X-CSRF-Token", "a"), ("X-CSRF-Token", "b")],
        [("Origin", "a"), ("Origin", "b")],
        [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
        [("If-Match", '"1"'), ("If-Match", '"2"')],
    ],
)
def test_a_header_that_must_come_once_and_comes_twice_is_refused(anyone, headers):
    answer = anyone.get("/api/v1/config", headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize("query", ["prefix=team-a/&prefix=", "limit=1&prefix=a&%70refix=b", "prefix&prefix"])
def test_R48_a_parameter_that_comes_twice_is_refused_as_guard_and_route_might_each_take_another(admin, query):
    assert admin.get("/api/v1/secrets?prefix=team-a/&limit=1").status_code == 200
    answer = admin.get(f"/api/v1/secrets?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "a query parameter was sent more than once"


def test_two_hosts_are_refused(server):
    message = request(server, "GET /api/v1/config HTTP/1.1\r\nHost: evil.example")
    assert speak(server.url, message).status == 400


def test_cookies_may_come_in_several_headers(person):
    pairs = [("Cookie", "a=1"), ("Cookie", f"session={person.cookies.get('session')}")]
    person.cookies.clear()
    assert person.get("/api/v1/auth/session", headers=pairs).status_code == 200


def test_head_is_get_without_a_body(anyone):
    answer = anyone.head("/api/v1/config")
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["etag"] == anyone.get("/api/v1/config").headers["etag"]


def test_a_body_on_a_get_is_not_looked_at(anyone):
    answer = anyone.request("GET", "/api/v1/config", content=b"[" * 1000, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 200


def test_one_connection_goes_on_after_a_refusal(anyone):
    headers = {"Content-Type": "application/json"}
    for _ in range(3):
        assert anyone.post("/api/v1/auth/login", content=b"[" * 100_000, headers=headers).status_code == 400
        assert anyone.get("/health/live").status_code == 200
