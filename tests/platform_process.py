"""The `tradesense` command as a real process: one command, or a server.

A `Runner` runs commands to their end. `serving(env)` starts `tradesense serve` on a free port, waits for its `url:`
line and stops it afterwards::

    with serving({"TRADESENSE_FLAGS__REFRESH": "0.1"}) as server:
        httpx2.get(server.url + "/health/live")

The environment is ours alone: nothing but `PATH`, `HOME` and the given variables reaches the process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from servers import ServerFailed, reachable_folder, wait_until

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

    def __call__(self, *words: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Done:
        done = subprocess.run(
            [command(), *words],
            cwd=self.folder,
            env=environment(self.folder, env or {}),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)


class ServerHandle:
    """A running `tradesense serve`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.url = ""
        self.admin_email = ""
        self.admin_password = ""
        self._lines: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (process.stdout, process.stderr)
        ]
        for reader in self._readers:
            reader.start()

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
        return self.process.returncode

    def _read(self, stream: object) -> None:
        for line in stream:  # type: ignore[attr-defined]  # a text stream of the process
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
        with subprocess.Popen(
            [command(), "serve", "--port", "0", *words],
            cwd=place,
            env=environment(place, env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            handle = ServerHandle(process, place)
            try:
                handle.wait_for_line(lambda line: line.strip().startswith("url:"))
                yield handle
            finally:
                handle.stop()
