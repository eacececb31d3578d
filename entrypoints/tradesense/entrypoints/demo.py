"""`tradesense demo`: a real server, a real client, every room once, and a table of what was seen."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import IO, Any
from urllib.parse import urlsplit

import msgspec

from tradesense.core.sensitive import Secret

START_SECONDS = 60.0
STOP_SECONDS = 30.0
ANSWER_SECONDS = 10.0
READS = 10
"""Of the public configuration, one after the other."""
OK, CREATED, ACCEPTED, NO_CONTENT = 200, 201, 202, 204
NOT_MODIFIED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 304, 401, 403, 404


class Surprise(Exception):  # it is what the tour shows, not an error of the platform
    """The platform did not do what the tour expected."""


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body's JSON."""
        return msgspec.json.decode(self.body)


@dataclass
class Client:
    """A small HTTP client with a cookie jar, as a browser would have."""

    base: str
    bearer: str = field(default="", repr=False)
    cookies: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    def call(self, method: str, path: str, body: Any = None, expect: int = OK, **headers: str) -> Answer:
        """Send one request and check the status of its answer."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.bearer:
            sent["Authorization"] = f"Bearer {self.bearer}"
        if self.cookies:
            sent["Origin"] = self.base
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(urlsplit(self.base).netloc, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, content, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.msg, response.read())
        finally:
            connection.close()
        self._keep(answer)
        if answer.status != expect:
            raise Surprise(f"{method} {path} answered {answer.status}, not {expect}: {answer.body[:200]!r}")
        return answer

    def _keep(self, answer: Answer) -> None:
        for header in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(header).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value


@dataclass
class Tour:
    """A running server and what the steps have learnt."""

    url: str
    email: str
    password: Secret
    output: list[str] = field(repr=False)
    said: threading.Condition
    admin: Client = field(init=False)

    def __post_init__(self) -> None:
        self.admin = Client(self.url)

    def wait_for_line(self, text: str) -> str:
        """The first line of the server's output that holds ``text``, waited for if need be."""
        with self.said:
            found = self.said.wait_for(lambda: any(text in line for line in self.output), ANSWER_SECONDS)
            if not found:
                raise Surprise(f"the server never said {text!r}")
            return next(line for line in self.output if text in line)


def _health(tour: Tour) -> str:
    return str(Client(tour.url).call("GET", "/health/ready").json()["status"])


def _register_and_cookie(tour: Tour) -> str:
    person, password = Client(tour.url), secrets.token_urlsafe(18)
    email = f"visitor-{secrets.token_hex(4)}@example.org"
    csrf = person.call("GET", "/api/v1/auth/csrf").json()["csrf_token"]
    person.call("POST", "/api/v1/auth/register", {"email": email, "password": password}, ACCEPTED, X_CSRF_Token=csrf)
    login = person.call("POST", "/api/v1/auth/login", {"email": email, "password": password}, X_CSRF_Token=csrf).json()
    person.call("GET", "/api/v1/auth/session")
    person.call("PUT", "/api/v1/secrets/x", {"value": "x"}, FORBIDDEN, X_CSRF_Token=login["csrf_token"])
    kept = dict(person.cookies)
    person.call("POST", "/api/v1/auth/logout", expect=NO_CONTENT, X_CSRF_Token=login["csrf_token"])
    Client(tour.url, cookies=kept).call("GET", "/api/v1/auth/session", expect=UNAUTHORIZED)
    return f"{email} signed up, logged in, was refused an administrator's route, logged out"


def _token(tour: Tour) -> str:
    body = {"email": tour.email, "password": tour.password.reveal(), "mode": "token"}
    answer = tour.admin.call("POST", "/api/v1/auth/login", body).json()
    tour.admin.bearer = answer["access_token"]
    return f"{answer['token_type']} token for {answer['expires_in']} s"


def _secrets(tour: Tour) -> str:
    first = tour.admin.call("PUT", "/api/v1/secrets/demo/db/password", {"value": "first"}).json()
    tour.admin.call("PUT", "/api/v1/secrets/demo/db/password", {"value": "second", "cas": first["version"]})
    read = tour.admin.call("GET", "/api/v1/secrets/demo/db/password").json()
    if read["value"] != "second":
        raise Surprise("the secret that was read is not the one that was written")
    tour.admin.call("GET", "/api/v1/secrets/demo/absent", expect=NOT_FOUND)
    return f"version {read['version']} from the provider {read['provider']}"


def _flags(tour: Tour) -> str:
    flag = {
        "key": "new-checkout",
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "rules": [{"shares": [{"variant": "on", "percent": 50}]}],
    }
    tour.admin.call("PUT", "/api/v1/flags/new-checkout", flag)
    variants: dict[str, int] = {"on": 0, "off": 0}
    for number in range(40):
        context = {"context": {"targetingKey": f"user-{number}"}}
        answer = tour.admin.call("POST", "/ofrep/v1/evaluate/flags/new-checkout", context).json()
        variants[answer["variant"]] += 1
    if not all(variants.values()):
        raise Surprise("a roll-out of half gave everyone the same")
    return f"of 40 users {variants['on']} see the new checkout"


def _config(tour: Tour) -> str:
    tour.admin.call("PUT", "/api/v1/settings/ui.theme", {"value": "dark", "public": True})
    public = Client(tour.url).call("GET", "/api/v1/config")
    Client(tour.url).call("GET", "/api/v1/config", expect=NOT_MODIFIED, If_None_Match=public.headers["ETag"])
    return f"anyone reads {public.json()}, and not twice"


def _cache(tour: Tour) -> str:
    anyone = Client(tour.url)
    for _ in range(READS):
        anyone.call("GET", "/api/v1/config")
    tour.admin.call("POST", "/api/v1/cache/invalidate", {"keys": ["config:public"]})
    anyone.call("GET", "/api/v1/config")
    stats = tour.admin.call("GET", "/api/v1/cache/stats").json()
    if stats["hits"] < READS - 1 or stats["misses"] < 2:  # noqa: PLR2004  # the first read of all, and the last
        raise Surprise(f"the public configuration is not read through the cache: {stats}")
    return f"{stats['hits']} hits, {stats['misses']} misses, by reading the public configuration"


def _jobs(tour: Tour) -> str:
    tour.wait_for_line("Welcome to TradeSense")
    return "the welcome mail was queued, done and printed"


def _telemetry(tour: Tour) -> str:
    text = Client(tour.url).call("GET", "/metrics").body.decode()
    series = [line for line in text.splitlines() if line.startswith("http_server_request_duration_seconds_count")]
    if not series:
        raise Surprise("the metrics do not tell of the requests")
    return f"{len(series)} routes measured"


def _audit(tour: Tour) -> str:
    answer = tour.admin.call("POST", "/api/v1/audit/verify").json()
    if not answer["ok"]:
        raise Surprise(f"the audit chain does not hold: {answer}")
    return f"{answer['checked']} rows, the chain holds"


def _plugins(tour: Tour) -> str:
    plugins = tour.admin.call("GET", "/api/v1/plugins").json()["plugins"]
    return f"{len(plugins)} plugins"


STEPS: tuple[tuple[str, Callable[[Tour], str]], ...] = (
    ("health", _health),
    ("identity: by cookie", _register_and_cookie),
    ("identity: by token", _token),
    ("secrets", _secrets),
    ("flags", _flags),
    ("config", _config),
    ("cache", _cache),
    ("jobs", _jobs),
    ("telemetry", _telemetry),
    ("audit", _audit),
    ("plugins", _plugins),
)


def run() -> int:
    """Take the tour and print its table.

    :returns: 0 when every step saw what it expected, 1 otherwise.
    """
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory(prefix="tradesense-demo-") as folder:
        try:
            with _server(folder) as tour:
                for name, step in STEPS:
                    try:
                        rows.append((name, "ok", step(tour)))
                    except (Surprise, OSError, KeyError, msgspec.MsgspecError) as error:
                        rows.append((name, "FAILED", f"{type(error).__name__}: {error}"))
            rows.append(("stop", "ok", "drained and stopped by SIGTERM, exit 0"))
        except Surprise as error:
            rows.append(("server", "FAILED", str(error)))
    _print(rows)
    return 0 if all(state == "ok" for _, state, _ in rows) else 1


@contextmanager
def _server(folder: str) -> Generator[Tour]:
    """A server of our own on a free port, with its state in ``folder``, stopped by SIGTERM at the end."""
    environment = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    environment["ENVIRONMENT"] = "development"
    process = subprocess.Popen(
        [sys.executable, "-m", "tradesense.entrypoints.cli", "serve", "--port", "0"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    tour = Tour("", "", Secret(""), [], threading.Condition())
    reader = threading.Thread(target=_listen, args=(process.stdout, tour), daemon=True)
    reader.start()
    try:
        with tour.said:
            ready = tour.said.wait_for(lambda: bool(tour.url and tour.email), START_SECONDS)
        if not ready:
            raise Surprise("the server did not start: " + " | ".join(tour.output[-5:]))
        tour.admin = Client(tour.url)
        yield tour
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_SECONDS)
        reader.join(STOP_SECONDS)
    if code != 0:
        raise Surprise(f"the server ended with exit code {code}")


def _is_setting(name: str) -> bool:
    """Whether a variable would make the tour's server use what is not the tour's."""
    return name.startswith("TRADESENSE_") or name in {"DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY", "ENVIRONMENT"}


def _listen(stream: IO[str] | None, tour: Tour) -> None:
    for line in stream or ():
        with tour.said:
            tour.output.append(line.rstrip())
            key, _, value = line.strip().partition(": ")
            if key == "url":
                tour.url = value
            elif key == "admin":
                tour.email, _, password = value.partition(" ")
                tour.password = Secret(password)
            tour.said.notify_all()


def _print(rows: list[tuple[str, str, str]]) -> None:
    width = max(len(name) for name, _, _ in rows)
    sys.stdout.write("\n".join(f"{name:<{width}}  {state:<6}  {seen}" for name, state, seen in rows) + "\n")
