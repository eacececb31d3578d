"""Clients for the tests: one over httpx2, one over a bare socket, one that calls the application itself."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

PASSWORD = "correct horse battery staple"


COOKIES = {"session", "visit", "browser"}


def check_cookie(cookie, *, secure):
    """Whatever a test is about, every cookie that the platform sets is for HTTP alone and for its host (R13)."""
    pair, *attributes = (part.strip() for part in cookie.split(";"))
    attributes = {part.lower() for part in attributes}
    name = pair.partition("=")[0]
    assert name.removeprefix("__Host-") in COOKIES, cookie
    assert attributes >= {"httponly", "path=/"}, cookie
    assert attributes & {"samesite=lax", "samesite=strict"}, cookie
    assert not any(part.startswith("domain") for part in attributes), cookie
    assert len(cookie) <= 4096, cookie
    if secure:
        assert name.startswith("__Host-"), cookie
        assert "secure" in attributes, cookie


class Talker(httpx2.Client):
    """A client that sends nothing by itself but a bearer token, if it has one."""

    def __init__(self, url, *, bearer=""):
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        super().__init__(base_url=url, headers=headers, timeout=20, trust_env=False, verify=False)

    def send(self, *words, **more):
        answer = super().send(*words, **more)
        for cookie in answer.headers.get_list("set-cookie"):
            check_cookie(cookie, secure=answer.url.scheme == "https")
        return answer


class Person(Talker):
    """Somebody at a browser: cookies, an origin, and the CSRF token of the page."""

    def __init__(self, url, email, password=PASSWORD):
        super().__init__(url)
        self.origin = url
        self.email = email
        self.password = password
        self.csrf = ""

    def visit(self):
        self.csrf = self.get("/api/v1/auth/csrf").json()["csrf_token"]

    def proof(self, **more):
        return {"Origin": self.origin, "X-CSRF-Token": self.csrf, **more}

    def send_proved(self, method, path, **more):
        return self.request(method, path, headers=self.proof(), **more)

    def sign_up(self):
        self.visit()
        answer = self.send_proved(
            "POST", "/api/v1/auth/register", json={"email": self.email, "password": self.password}
        )
        assert answer.status_code == 202, answer.text
        return answer

    def log_in(self):
        self.visit()
        answer = self.send_proved("POST", "/api/v1/auth/login", json={"email": self.email, "password": self.password})
        assert answer.status_code == 200, answer.text
        self.csrf = answer.json()["csrf_token"]
        return answer


class Administrator:
    """The administrator of a served platform, who logs in anew before a token is old.

    Not for each test, as more than a few logins within a minute are too many.
    """

    SECONDS = 240
    """How long one token is used: shorter than it lives, and than its login counts as recent."""

    def __init__(self, server):
        self._server = server
        self._token = ""
        self._until = 0.0

    @property
    def token(self):
        if time.monotonic() >= self._until:
            with Talker(self._server.url) as talker:
                body = {"email": self._server.admin_email, "password": self._server.admin_password, "mode": "token"}
                answer = talker.post("/api/v1/auth/login", json=body)
            assert answer.status_code == 200, answer.text
            self._token, self._until = answer.json()["access_token"], time.monotonic() + self.SECONDS
        return self._token


@dataclass
class Raw:
    """What came back over a bare socket."""

    status: int
    headers: dict[str, str]
    body: bytes


def speak(url, message, *, seconds=15.0):
    """Send bytes as they are, and read one answer."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as connection:
        connection.sendall(message)
        return read_answer(connection)


def read_answer(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        assert part, f"the connection ended in the middle of {data!r}"
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        part = connection.recv(65536)
        assert part, "the connection ended in the middle of the body"
        body += part
    return Raw(int(first.split()[1]), headers, body)


async def ask(app, method, path, *, headers=(), body=None, query=b"", receive=None):
    """Call an ASGI application as a server would."""
    sent: list[dict[str, Any]] = []
    content = b"" if body is None else msgspec.json.encode(body) if not isinstance(body, bytes) else body
    pairs = [(b"host", b"127.0.0.1:8000"), *headers]
    if body is not None:
        pairs += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": pairs,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", "8000"),
        "state": {},
    }
    messages = [{"type": "http.request", "body": content, "more_body": False}]

    async def give():
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def take(message):
        sent.append(message)

    # A task of its own, as a server makes one for each request: context variables do not leak between two.
    await asyncio.create_task(app(scope, receive or give, take))
    start = next(message for message in sent if message["type"] == "http.response.start")
    answer = b"".join(message["body"] for message in sent if message["type"] == "http.response.body")
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Raw(start["status"], found, answer)
