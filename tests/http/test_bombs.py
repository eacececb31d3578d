"""Requests that are made to cost more than they weigh: each is refused by its name, and the others are answered."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import statistics
import time
from urllib.parse import urlsplit

import pytest
from talking import Talker, read_answer, speak

from residence import MIB, resident
from servers import wait_until

GROWTH = 50 * MIB
LOGIN = "/api/v1/auth/login"
DEEP = b"[" * 100_000 + b"]" * 100_000
PARTS = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n" * 100_000 + b"--x--\r\n"
CHUNK = 1 << 16
SLOW = 500
GIGABYTE, IN_SHORT = 1 << 30, 64 * MIB


def head(server, method, path, **headers):
    lines = {"Host": urlsplit(server.url).netloc, **headers}
    text = "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items())])
    return text.encode() + b"\r\n\r\n"


def posted(server, media_type, body, **more):
    """What a body is answered with, which may come before it has been sent."""
    parts = urlsplit(server.url)
    headers = {"Content-Type": media_type, "Content-Length": len(body), **more}
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(head(server, "POST", LOGIN, **headers))
        with contextlib.suppress(OSError):
            connection.sendall(body)
        return read_answer(connection)


def streamed(server, size):
    """A body that says nothing of its length, and how many bytes of it the server let us send."""
    parts = urlsplit(server.url)
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    piece = b"%x\r\n%s\r\n" % (CHUNK, b" " * CHUNK)
    sent = 0
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(head(server, "POST", LOGIN, **headers))
        with contextlib.suppress(OSError):
            while sent < size:
                connection.sendall(piece)
                sent += CHUNK
        return read_answer(connection), sent


def kind(answer):
    return json.loads(answer.body)["type"].rpartition(":")[2]


def thrown(server, size):
    """Every bomb but the slow ones: how it was answered."""
    zeros = gzip.compress(b" " * (10 * MIB))
    assert 10 * MIB / len(zeros) > 900
    declared = head(server, "POST", LOGIN, **{"Content-Type": "application/json", "Content-Length": GIGABYTE})
    large = head(server, "GET", "/api/v1/config", **{"X-Large": "x" * (64 << 10)})
    many = head(server, "GET", "/api/v1/config?" + "&".join(["a"] * 10_000))
    stream, sent = streamed(server, size)
    assert sent < 32 * MIB, "it is refused before it is over"
    told = {
        "deep": posted(server, "application/json", DEEP),
        "declared": speak(server.url, declared),
        "streamed": stream,
        "zipped": posted(server, "application/json", zeros, **{"Content-Encoding": "gzip"}),
        "parts": posted(server, "multipart/form-data; boundary=x", PARTS),
        "headers": speak(server.url, large),
        "parameters": speak(server.url, many),
    }
    return {name: (answer.status, kind(answer)) for name, answer in told.items()}


REFUSED = {
    "deep": (400, "json-too-deep"),
    "declared": (413, "body-too-large"),
    "streamed": (413, "body-too-large"),
    "zipped": (415, "unsupported-media-type"),
    "parts": (413, "body-too-large"),
    "headers": (431, "headers-too-large"),
    "parameters": (414, "query-too-long"),
}


@contextlib.contextmanager
def dripping(server, count):
    """Connections that have begun a request and do not go on with it."""
    parts = urlsplit(server.url)
    with contextlib.ExitStack() as stack:
        slow = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=30))
            connection.sendall(b"GET /api/v1/config HTTP/1.1\r\nX-A: b")
            slow.append(connection)
        yield slow


def asked(server, count):
    """Seconds that ordinary requests take, all of which are answered."""
    waits = []
    with Talker(server.url) as client:
        for _ in range(count):
            began = time.monotonic()
            assert client.get("/api/v1/config").status_code == 200
            waits.append(time.monotonic() - began)
    return waits


def is_closed(connection):
    """Whether the other side has given up on it."""
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.soak
def test_F18_bombs_are_refused_by_name_in_bounded_memory_and_others_are_answered(server, soaking):
    thrown(server, IN_SHORT)  # what a process sets up once is no growth
    before = asked(server, 400 if soaking else 20)
    memory = resident(server.process.pid)
    for _ in range(10 if soaking else 1):
        assert thrown(server, GIGABYTE if soaking else IN_SHORT) == REFUSED
        asked(server, 5)
    with dripping(server, SLOW) as slow:
        during = asked(server, 400 if soaking else 20)
        assert resident(server.process.pid) - memory <= GROWTH
        if soaking:
            wait_until(lambda: all(map(is_closed, slow)), "the end of connections that say nothing", seconds=30)
            waits = [statistics.quantiles(found, n=100)[98] for found in (before, during)]
            print(f"p99 {waits[0] * 1000:.1f} ms before, {waits[1] * 1000:.1f} ms with {SLOW} slow connections")  # noqa: T201  # a figure of the experiment
            assert waits[1] <= 2 * waits[0] + 0.005
    grown = resident(server.process.pid) - memory
    print(f"grown by {grown / MIB:.1f} MiB")  # noqa: T201  # a figure of the experiment
    assert grown <= GROWTH
