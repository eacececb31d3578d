"""The `tradesense` command as a real process: one command, or a server.

A `Runner` runs commands to their end. `serving(env)` starts `tradesense serve` on a free port, waits for its `url:`
line and stops it afterwards::

    with serving({"TRADESENSE_FLAGS__REFRESH": "0.1"}) as server:
        httpx2.get(server.url + "/health/live")

The environment is ours alone: nothing but `PATH`, `HOME` and the given variables reaches the process. All are forked
from one that has imported the platform, see `prefork.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from servers import FOLDER_VARIABLE, ServerFailed, keep, once, reachable_folder, run_folder, wait_until

COMMAND_SECONDS = 60.0
READY_SECONDS = 60.0
STOP_SECONDS = 20.0


def command() -> str:
    """The `tradesense` command of this environment."""
    return str(Path(sys.executable).with_name("tradesense"))


def environment(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """A bare environment: development, with its state below `folder`."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ENVIRONMENT": "development",
        "TRADESENSE_STATE_DIR": str(folder / "var"),
        "PYTHONUNBUFFERED": "1",
        **env,
    }


class Forked:
    """A process that runs `tradesense`, with the part of `subprocess.Popen` that tests use.

    :param streams: descriptors of its standard input, output and error, which stay the caller's.
    """

    def __init__(self, *words: str, folder: Path, env: Mapping[str, str], streams: tuple[int, int, int]) -> None:
        self.args = (command(), *words)
        self.returncode: int | None = None
        self._reading = threading.Lock()
        self._told = b""
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_prefork())
        request = {"argv": self.args, "cwd": str(folder), "env": environment(folder, env)}
        socket.send_fds(self._connection, [json.dumps(request).encode()], streams)
        self.pid = int(self._line(None))

    def poll(self) -> int | None:
        """The exit code, or nothing while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended.

        :raises subprocess.TimeoutExpired: it still runs.
        """
        with self._reading:
            if self.returncode is None:
                self.returncode = int(self._line(timeout))
            return self.returncode

    def send_signal(self, number: int) -> None:
        """As `os.kill`, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it if it has not ended, and forget it."""
        self.kill()
        self._connection.close()

    def _line(self, timeout: float | None) -> bytes:
        self._connection.settimeout(timeout)
        while b"\n" not in self._told:
            try:
                part = self._connection.recv(64)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
            if not part:
                raise ServerFailed("the process that forks commands ended")
            self._told += part
        line, _, self._told = self._told.partition(b"\n")
        return line


class Spawned(subprocess.Popen[str]):
    """The same as a process of its own, where no tests run: a benchmark measures what a user starts.

    :param argv: another command than `tradesense`.
    """

    def __init__(
        self,
        *words: str,
        folder: Path,
        env: Mapping[str, str],
        streams: tuple[int, int, int],
        argv: Sequence[str] = (),
    ) -> None:
        given, out, err = streams
        super().__init__(
            [*(argv or (command(),)), *words],
            cwd=folder,
            env=environment(folder, env),
            stdin=given,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )

    def close(self) -> None:
        """End it if it has not ended."""
        self.kill()
        self.wait()


def _prefork() -> str:
    """The socket of the process that forks commands, the same for all workers of a run."""
    address = run_folder() / "prefork"

    def begin() -> str:
        log = run_folder() / "prefork.log"
        argv = [sys.executable, str(Path(__file__).with_name("prefork.py")), str(address)]
        ended = keep(argv, folder=run_folder(), log=log, env=environment(run_folder(), {}))
        if not wait_until(address.exists, "the process that forks commands", unless=ended):
            raise ServerFailed(f"the process that forks commands ended:\n{log.read_text()}")
        return str(address)

    return once("preforked", begin)


@dataclass(frozen=True)
class Done:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


class Runner:
    """Runs commands, all in one folder: what one writes to its state the next finds there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _prefork()  # now, so that whoever measures a command does not measure this

    def __call__(self, *words: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Done:
        with contextlib.ExitStack() as files:
            given, out, err = (files.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in range(3))
            given.write(stdin)
            given.seek(0)
            streams = (given.fileno(), out.fileno(), err.fileno())
            process = Forked(*words, folder=self.folder, env=env or {}, streams=streams)
            try:
                code = process.wait(COMMAND_SECONDS)
            finally:
                process.close()
            out.seek(0)
            err.seek(0)
            return Done(code=code, out=out.read(), err=err.read())


class ServerHandle:
    """A running `tradesense serve`."""

    def __init__(self, process: Forked | Spawned, folder: Path, streams: Iterable[TextIO]) -> None:
        self.process = process
        self.folder = folder
        self.url = ""
        self.admin_email = ""
        self.admin_password = ""
        self._lines: list[str] = []
        self._readers = [threading.Thread(target=self._read, args=(stream,), daemon=True) for stream in streams]
        for reader in self._readers:
            reader.start()

    @classmethod
    def begin(cls, *words: str, folder: Path, env: Mapping[str, str], argv: Sequence[str] = ()) -> Self:
        """Start a command that runs until it is stopped.

        :param argv: another command than `tradesense`, where no tests run.
        """
        (out, out_given), (err, err_given) = os.pipe(), os.pipe()
        try:
            with Path(os.devnull).open() as nothing:
                streams = (nothing.fileno(), out_given, err_given)
                if FOLDER_VARIABLE in os.environ and not argv:
                    process: Forked | Spawned = Forked(*words, folder=folder, env=env, streams=streams)
                else:
                    process = Spawned(*words, folder=folder, env=env, streams=streams, argv=argv)
        finally:
            os.close(out_given)
            os.close(err_given)
        return cls(process, folder, [os.fdopen(end, encoding="utf-8", errors="replace") for end in (out, err)])

    @property
    def output(self) -> str:
        """Everything that the process has written so far, both streams."""
        return "\n".join(self._lines)

    def wait_for_line(self, found: Callable[[str], bool], *, seconds: float = READY_SECONDS) -> str:
        """The first line, also among those written already, for which `found` holds."""
        wait_until(
            lambda: any(found(line) for line in list(self._lines)),
            "a line of tradesense serve",
            seconds=seconds,
            unless=lambda: self.process.poll() is not None and not any(r.is_alive() for r in self._readers),
        )
        for line in list(self._lines):
            if found(line):
                return line
        raise ServerFailed(f"tradesense serve ended with {self.process.returncode}:\n{self.output}")

    def stop(self, *, how: int = signal.SIGTERM) -> int:
        """End it by `how`, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise ServerFailed(f"tradesense serve did not stop within {STOP_SECONDS:g} s:\n{self.output}") from None
        for reader in self._readers:
            reader.join(STOP_SECONDS)
        self.process.close()
        return self.process.wait(0)

    def _read(self, stream: TextIO) -> None:
        with stream:
            self._read_lines(stream)

    def _read_lines(self, stream: TextIO) -> None:
        for line in stream:
            self._lines.append(line.rstrip("\n"))
            word, _, rest = line.strip().partition(" ")
            if word == "admin:" and not self.admin_email:
                self.admin_email, _, self.admin_password = rest.partition(" ")
            elif word == "url:" and not self.url:
                self.url = rest.rstrip("/")


@contextlib.contextmanager
def serving(env: Mapping[str, str] | None = None, *words: str, folder: Path | None = None) -> Iterator[ServerHandle]:
    """`tradesense serve --port 0 WORDS…`, ready to be asked.

    :param folder: where its state lies; a fresh folder, gone afterwards, when left out.
    :raises ServerFailed: it ended, or printed no `url:` line in time.
    """
    with contextlib.ExitStack() as stack:
        place = folder or stack.enter_context(reachable_folder())
        handle = ServerHandle.begin("serve", "--port", "0", *words, folder=place, env=env or {})
        try:
            handle.wait_for_line(lambda line: line.strip().startswith("url:"))
            yield handle
        finally:
            handle.stop()
