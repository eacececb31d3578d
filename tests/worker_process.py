"""A worker as a process of its own, with handlers whose effects a test can count.

An effect is a row under the job's key and one more in a total, in one transaction of a file: so does a handler that is
written for at-least-once delivery. Every beginning of an attempt is a row as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from servers import wait_until

READY_SECONDS = 60.0
PROGRAM = """
import asyncio, os, signal, sqlite3, sys
from tradesense.core.acting import as_system
from tradesense.core.errors import InvalidInput
from tradesense.entrypoints.logs import configure
from tradesense.entrypoints.worker.jobs import run
from tradesense.settings.load import load

book = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)

async def effect(job):
    book.execute("INSERT INTO attempts VALUES (?, ?)", (job.key, job.attempt))
    await asyncio.sleep(job.payload["seconds"])
    book.execute("BEGIN IMMEDIATE")
    if book.execute("INSERT OR IGNORE INTO effects VALUES (?)", (job.key,)).rowcount:
        book.execute("UPDATE total SET effects = effects + 1")
    book.execute("COMMIT")

async def fails(job):
    book.execute("INSERT INTO attempts VALUES (?, ?)", (job.key, job.attempt))
    raise InvalidInput("it always does")

async def kills(job):
    book.execute("INSERT INTO attempts VALUES (?, ?)", (job.key, job.attempt))
    os.kill(os.getpid(), signal.SIGKILL)

def prepare(services):
    for name, handler in {"test.effect": effect, "test.fails": fails, "test.kills": kills}.items():
        services.jobs.on(name, as_system()(handler))

settings = load(dict(os.environ)).settings
configure(settings.telemetry)
asyncio.run(run(settings, prepare=prepare))
"""


class Book:
    """What the handlers did."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(self._open()) as book:
            book.executescript(
                "PRAGMA journal_mode = WAL;"
                "CREATE TABLE attempts (key TEXT, attempt INTEGER);"
                "CREATE TABLE effects (key TEXT PRIMARY KEY);"
                "CREATE TABLE total (effects INTEGER);"
                "INSERT INTO total VALUES (0);"
            )

    def attempts(self, key: str | None = None) -> int:
        """How often a handler began, with this key or at all."""
        return self._number("SELECT count(*) FROM attempts WHERE ?1 IS NULL OR key = ?1", key)

    def effects(self) -> int:
        """How many keys had their effect."""
        return self._number("SELECT count(*) FROM effects")

    def total(self) -> int:
        """How many effects there were; more than keys if a key had its effect twice."""
        return self._number("SELECT effects FROM total")

    def _number(self, query: str, *values: object) -> int:
        with closing(self._open()) as book:
            return book.execute(query, values).fetchone()[0]

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=30)


class Worker:
    """The process."""

    def __init__(self, folder: Path, env: Mapping[str, str], book: Book, number: int) -> None:
        self.log = folder / f"worker-{number}.log"
        program = folder / "worker.py"
        program.write_text(PROGRAM)
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, str(program), str(book.path)],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), **env},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )

    def ready(self) -> None:
        """Wait until it works."""
        wait_until(
            lambda: "worker ready" in self.log.read_text(),
            f"the worker: {self.log}",
            seconds=READY_SECONDS,
            unless=lambda: self.process.poll() is not None,
        )

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash of the host would."""
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextlib.contextmanager
def workers(folder: Path, env: Mapping[str, str]) -> Iterator[tuple[Book, object]]:
    """The book, and a function that starts a worker; all of them are ended afterwards."""
    book = Book(folder / "book.db")
    started: list[Worker] = []

    def start() -> Worker:
        started.append(Worker(folder, env, book, len(started)))
        return started[-1]

    try:
        yield book, start
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.kill()
