"""Real servers for the tests: PostgreSQL, Valkey and OpenBao, each from its wheel, on a free loopback port.

A test takes one of these fixtures (they stand in `conftest.py`) and nothing else:

=====================  ==============================================================================================
`postgres`             the run's PostgreSQL: `Postgres` with `.host .port .user .password`, `.url(database)`
`postgres_url`         `postgresql://…` of an empty database of this test's own, dropped afterwards
`valkey`               the run's Valkey: `Valkey` with `.host .port`, `.url(db)`
`valkey_url`           `redis://…/N`, a database number of this test's own, flushed afterwards. Pub/sub channels
                       are shared by all numbers: name them with `unique_prefix`
`openbao`              `OpenBao` with `.address .token .mount`; `mount` is a fresh KV v2 engine of this test's
`unique_prefix`        a short name that no other test of this run has
`fault_proxy`          `async with fault_proxy(host, port) as proxy:` - see `faultproxy.py`
`own_postgres`, `own_valkey`, `own_openbao`
                       a server for this test alone, which it may pause, kill and start again: `OwnServer` with
                       `.server .process .kill() .pause() .resume() .start()`
`serving`              `with serving(env) as server:` - `tradesense serve` as a process, see `platform_process.py`
`tradesense`           `tradesense("secrets", "list", env=…)` - one command, see `platform_process.py`
=====================  ==============================================================================================

Each server starts when the first test asks for it, once for all xdist workers, and is ended by `keeper.py`. A server that
cannot start fails the test that needs it, with the end of its log.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import binaries

HOST = "127.0.0.1"
START_SECONDS = 60.0
POLL_SECONDS = 0.02
FOLDER_VARIABLE = "TRADESENSE_TEST_SERVERS"


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


Server = TypeVar("Server", Postgres, Valkey, OpenBao)


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
    server = Valkey(port=free_port())
    return Recipe(
        server=server,
        argv=[
            *(binaries.valkey(), "--port", str(server.port), "--bind", HOST, "--save", "", "--appendonly", "no"),
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


RECIPES: dict[type[Any], Callable[[Path], Recipe[Any]]] = {
    Postgres: postgres_recipe,
    Valkey: valkey_recipe,
    OpenBao: openbao_recipe,
}
"""What starts each kind of server; tests' own kinds may be added."""


def shared(kind: type[Server]) -> Server:
    """The run's server of this kind, started if it is not there yet.

    :raises ServerFailed: it cannot start.
    """
    folder = Path(os.environ[FOLDER_VARIABLE])
    name = kind.__name__.lower()
    with _locked(folder / f"{name}.lock"):
        state = folder / f"{name}.json"
        if not state.exists():
            state.write_text(json.dumps(asdict(_start_shared(kind, folder, name))))
        known: Server = kind(**json.loads(state.read_text()))
        return known


def _start_shared(kind: type[Server], folder: Path, name: str) -> Server:
    for attempt in range(3):
        place = folder / f"{name}-{attempt}"
        place.mkdir(mode=0o755)
        recipe = RECIPES[kind](place)
        log = folder / f"{name}-{attempt}.log"
        pid = _ask_keeper(
            argv=recipe.argv, cwd=str(place), log=str(log), user=recipe.user, env=recipe.env, signal=recipe.signal
        )["pid"]
        if wait_until(recipe.server.ready, name, unless=lambda pid=pid: _ask_keeper(pid=pid)["exit"] is not None):
            started: Server = recipe.server
            return started
    raise ServerFailed(f"{name} ended while it was started; its log ends with:\n{tail(log)}")


def _ask_keeper(**request: Any) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(Path(os.environ[FOLDER_VARIABLE]) / "keeper"))
        with connection.makefile("rw") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            answer: dict[str, Any] = json.loads(stream.readline())
    if "error" in answer:
        raise ServerFailed(answer["error"])
    return answer


class OwnServer(Generic[Server]):
    """A server of one test, held by its own handle."""

    def __init__(self, kind: type[Server], folder: Path) -> None:
        self._folder = folder
        recipe = RECIPES[kind](folder)
        self.server: Server = recipe.server
        self._recipe = recipe
        self._log = folder / "log"
        self.process = self._spawn()

    def start(self) -> None:
        """Start it again on the same port, with what it kept on disk; return once it answers."""
        self.process = self._spawn()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Stop it from answering while its connections stay open (`SIGSTOP`). Valkey and OpenBao only: PostgreSQL
        answers from other processes."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it politely, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(self._recipe.signal)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def _spawn(self) -> subprocess.Popen[bytes]:
        recipe = self._recipe
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                recipe.argv,
                cwd=self._folder,
                user=recipe.user,
                env=recipe.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait_until(recipe.server.ready, recipe.argv[0], unless=lambda: process.poll() is not None):
            return process
        raise ServerFailed(f"{recipe.argv[0]} ended while it was started; its log ends with:\n{tail(self._log)}")


@contextlib.contextmanager
def own(kind: type[Server]) -> Iterator[OwnServer[Server]]:
    """A server for one test alone, which the test may kill, pause and start again."""
    with reachable_folder() as folder:
        server = OwnServer(kind, folder)
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A temporary folder that the unprivileged user can reach as well."""
    with tempfile.TemporaryDirectory(prefix="tradesense-", dir=binaries.reachable_parent()) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


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


def tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def next_number(name: str) -> int:
    """1, 2, 3, … over all workers of this run."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    counter = folder / f"{name}.count"
    with _locked(folder / f"{name}.count.lock"):
        number = int(counter.read_text()) + 1 if counter.exists() else 1
        counter.write_text(str(number))
    return number


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
