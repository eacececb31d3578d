"""Real servers for the tests: PostgreSQL, Valkey and OpenBao, each from its wheel, on a free loopback port.

A test takes one of these fixtures (they stand in `conftest.py`) and nothing else:

=====================  ==============================================================================================
`postgres`             the run's PostgreSQL: `Postgres` with `.host .port .user .password`, `.url(database)`
`postgres_url`         `postgresql://…` of an empty database of this test's own, dropped afterwards
`valkey`               the run's Valkey: `Valkey` with `.host .port`, `.url(db)`
`valkey_url`           `redis://…/N`, a database number of this test's own, flushed afterwards. Pub/sub channels
                       are shared by all numbers: name them with `unique_prefix`
`redis_eight_url`      the same of the run's Redis 8
`openbao`              `OpenBao` with `.address .token .mount`; `mount` is a fresh KV v2 engine
`moto`                 the run's moto, an emulator of AWS: `.address`; name things with `unique_prefix`
`secret_manager`       our own server with the wire form of Google's Secret Manager, see `wire_gcp.py`
`key_vault`            our own server with the wire form of Azure's Key Vault, see `wire_azure.py`
`unique_prefix`        a short name that no other test of this run has
`fault_proxy`          `async with fault_proxy(host, port) as proxy:` - see `faultproxy.py`
`own_postgres`, `own_valkey`, `own_openbao`
                       a server for this test alone, which it may pause, kill and start again: `OwnServer` with
                       `.server .process .kill() .pause() .resume() .start()`
`serving`              `with serving(env) as server:` - `tradesense serve` as a process, see `platform_process.py`
`tradesense`           `tradesense("secrets", "list", env=…)` - one command, see `platform_process.py`
`soaking`              whether this is `make soak`: run an experiment whole; otherwise in short form
=====================  ==============================================================================================

Each server starts when the first test asks for it, once for all xdist workers, and is ended by `keeper.py`. A server
that cannot start fails the test that needs it, with the end of its log.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic

import binaries
from server_kinds import (
    RECIPES,
    Moto,
    OpenBao,
    Postgres,
    RedisEight,
    Server,
    ServerFailed,
    Valkey,
    free_port,
    wait_until,
)

__all__ = (
    "FOLDER_VARIABLE",
    "Moto",
    "OpenBao",
    "OwnServer",
    "Postgres",
    "RedisEight",
    "ServerFailed",
    "Valkey",
    "free_port",
    "keep",
    "next_number",
    "once",
    "own",
    "reachable_folder",
    "run_folder",
    "shared",
    "wait_until",
)

FOLDER_VARIABLE = "TRADESENSE_TEST_SERVERS"
"""Where the keeper's socket and the servers' state are found; the controller sets it, its workers inherit it."""


def run_folder() -> Path:
    """The temporary folder of this run, which all its workers share."""
    return Path(os.environ[FOLDER_VARIABLE])


def once(name: str, make: Callable[[], str]) -> str:
    """What `make` returned to the first who asked in this run, whichever worker that was."""
    state = run_folder() / f"{name}.state"
    with _locked(run_folder() / f"{name}.lock"):
        if not state.exists():
            state.write_text(make())
        return state.read_text()


def shared(kind: type[Server]) -> Server:
    """The run's server of this kind, started if it is not there yet.

    :raises ServerFailed: it cannot start.
    """
    name = kind.__name__.lower()
    known: Server = kind(**json.loads(once(name, lambda: json.dumps(asdict(_start_shared(kind, run_folder(), name))))))
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


def keep(argv: list[str], *, folder: Path, log: Path, env: dict[str, str]) -> Callable[[], bool]:
    """Have the keeper start a process, which ends with the run; returns what tells whether it has ended before."""
    asked = _ask_keeper(argv=argv, cwd=str(folder), log=str(log), user=None, env=env, signal=signal.SIGTERM)
    return lambda: _ask_keeper(pid=asked["pid"])["exit"] is not None


def _ask_keeper(**request: Any) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(run_folder() / "keeper"))
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


def tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def next_number(name: str) -> int:
    """1, 2, 3, … over all workers of this run."""
    folder = run_folder()
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
