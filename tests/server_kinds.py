"""The kinds of server that the tests know: how each is started, asked whether it is ready, and talked to."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import binaries

HOST = "127.0.0.1"
START_SECONDS = 60.0
POLL_SECONDS = 0.02


class ServerFailed(Exception):
    """A server could not be started, or ended by itself."""


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL."""

    port: int
    password: str
    user: str = "postgres"
    host: str = HOST

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def execute(self, statement: str, *, database: str = "postgres") -> str:
        """Run SQL with `psql`, for what stands around a test; the answer comes unaligned, without headings."""
        done = subprocess.run(
            [binaries.postgres("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url(database)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerFailed(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def ready(self) -> bool:
        return (
            subprocess.run(
                [binaries.postgres("pg_isready"), "-q", "-h", self.host, "-p", str(self.port)], check=False
            ).returncode
            == 0
        )


@dataclass(frozen=True)
class Valkey:
    """A running Valkey."""

    port: int
    databases: int = 4096
    host: str = HOST

    def url(self, db: int = 0) -> str:
        return f"redis://{self.host}:{self.port}/{db}"

    def command(self, *words: str, db: int = 0) -> str:
        """Send one inline command and return the first line of the answer."""
        with socket.create_connection((self.host, self.port), timeout=5) as connection:
            connection.sendall(f"SELECT {db}\r\n{' '.join(words)}\r\n".encode())
            with connection.makefile("r", newline="\r\n") as answer:
                answer.readline()
                return answer.readline().strip()

    def ready(self) -> bool:
        try:
            return self.command("PING") == "+PONG"
        except OSError:
            return False


@dataclass(frozen=True)
class RedisEight(Valkey):
    """A running Redis 8, which answers as Valkey does."""


@dataclass(frozen=True)
class OpenBao:
    """A running OpenBao in development mode: unsealed, in memory, with a root token."""

    port: int
    token: str
    mount: str = "secret"
    host: str = HOST

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """One call of the HTTP API: status and JSON, whatever the status."""
        request = urllib.request.Request(  # the address is ours, and http
            f"{self.address}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": self.token},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # as above
                status, raw = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, raw = error.code, error.read()
        return status, json.loads(raw) if raw else {}

    def ready(self) -> bool:
        try:
            status, _ = self.request("GET", "sys/health")
        except OSError:
            return False
        return status == 200 and self.request("GET", "secret/config")[0] == 200

    def fresh_mount(self, name: str) -> OpenBao:
        """The same server with a new KV v2 engine mounted at `name`, once it answers."""
        status, answer = self.request("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": "2"}})
        if status >= 400:
            raise ServerFailed(f"OpenBao did not mount {name}: {answer}")
        wait_until(lambda: self.request("GET", f"{name}/config")[0] == 200, f"the mount {name}")
        return OpenBao(port=self.port, token=self.token, mount=name)


@dataclass(frozen=True)
class Moto:
    """A running moto: an emulator of AWS, in memory."""

    port: int
    host: str = HOST

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/moto-api/data.json", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


Server = TypeVar("Server", Postgres, Valkey, RedisEight, OpenBao, Moto)


@dataclass(frozen=True)
class Recipe(Generic[Server]):
    """How one server is started in a folder, and how it says that it is ready."""

    server: Server
    argv: list[str]
    user: str | None = None
    signal: int = signal.SIGTERM
    env: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})


def postgres_recipe(folder: Path) -> Recipe[Postgres]:
    user = binaries.unprivileged()
    server = Postgres(port=free_port(), password=secrets.token_hex(8))
    data = folder / "data"
    if not data.exists():
        binaries.hand_over(folder, user)
        password_file = folder / "password"
        password_file.write_text(server.password)
        binaries.hand_over(password_file, user)
        done = subprocess.run(
            [
                *(binaries.postgres("initdb"), "-D", str(data), "-U", server.user, "-A", "scram-sha-256"),
                *("--pwfile", str(password_file), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            user=user,
            cwd=folder,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerFailed(f"initdb: {done.stdout}{done.stderr}")
    else:
        server = Postgres(port=server.port, password=(folder / "password").read_text())
    quick = [
        word for setting in ("fsync", "full_page_writes", "synchronous_commit") for word in ("-c", f"{setting}=off")
    ]
    return Recipe(
        server=server,
        argv=[
            *(binaries.postgres("postgres"), "-D", str(data), "-h", HOST, "-p", str(server.port)),
            *("-c", "unix_socket_directories=", "-c", "max_connections=300", "-c", "jit=off", *quick),
        ],
        user=user,
        signal=signal.SIGINT,
    )


def valkey_recipe(folder: Path) -> Recipe[Valkey]:
    return _redis_like(Valkey(port=free_port()), binaries.valkey(), folder)


def redis_eight_recipe(folder: Path) -> Recipe[RedisEight]:
    return _redis_like(RedisEight(port=free_port()), binaries.redis_eight(), folder)


V = TypeVar("V", Valkey, RedisEight)


def _redis_like(server: V, program: str, folder: Path) -> Recipe[V]:
    return Recipe(
        server=server,
        argv=[
            *(program, "--port", str(server.port), "--bind", HOST, "--save", "", "--appendonly", "no"),
            *("--dir", str(folder), "--databases", str(server.databases)),
        ],
    )


def openbao_recipe(folder: Path) -> Recipe[OpenBao]:
    server = OpenBao(port=free_port(with_next=True), token=secrets.token_hex(8))
    return Recipe(
        server=server,
        argv=[
            *(binaries.openbao(), "server", "-dev", f"-dev-root-token-id={server.token}"),
            *(f"-dev-listen-address={HOST}:{server.port}", "-dev-no-store-token"),
        ],
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )


def moto_recipe(folder: Path) -> Recipe[Moto]:
    server = Moto(port=free_port())
    return Recipe(
        server=server,
        argv=[sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(server.port)],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(folder)},
    )


RECIPES: dict[type[Any], Callable[[Path], Recipe[Any]]] = {
    Postgres: postgres_recipe,
    Valkey: valkey_recipe,
    RedisEight: redis_eight_recipe,
    OpenBao: openbao_recipe,
    Moto: moto_recipe,
}
"""What starts each kind of server; tests' own kinds may be added."""


def free_port(*, with_next: bool = False) -> int:
    """A loopback port that nobody listens on, and whose successor is free too if asked."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind((HOST, 0))
            port: int = first.getsockname()[1]
            if not with_next:
                return port
            try:
                second.bind((HOST, port + 1))
            except (OSError, OverflowError):
                continue
            return port


def wait_until(
    ready: Callable[[], bool],
    what: str,
    *,
    seconds: float = START_SECONDS,
    unless: Callable[[], bool] = lambda: False,
) -> bool:
    """Poll until `ready`, then return true; return false as soon as `unless` holds.

    :raises ServerFailed: `seconds` have passed.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if unless():
            return False
        if time.monotonic() > deadline:
            raise ServerFailed(f"{what} is not ready after {seconds:g} s")
        time.sleep(POLL_SECONDS)
    return True
