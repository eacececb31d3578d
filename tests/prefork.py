"""A process that has imported the platform, and forks one that runs `tradesense` for each request.

Most of what a short command costs is the import of the libraries below it, the same ones each time. Whoever is
forked here runs what the installed command runs, with its own arguments, environment, folder, streams, process group
and end; it merely finds the modules in memory. Whatever is measured of a start is measured elsewhere, on fresh ones.

The keeper of the servers starts this file with the path of a Unix socket. Protocol: one connection a process, with
`argv`, `cwd` and `env` as JSON and three descriptors. The answer is its pid on a line, and on another, when it has
ended, its exit code as `subprocess` counts them.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

WORDS = 1 << 20
"""The largest request, in bytes."""
LEFT_OUT = {"aws", "azure", "gcp", "migrations", "__main__"}
"""What few processes use, and what is run by being imported."""
DRIVERS = ("aiosqlite", "asyncpg", "sqlalchemy.dialects.sqlite.aiosqlite", "sqlalchemy.dialects.postgresql.asyncpg")
"""What SQLAlchemy imports by a database's address."""


def preload() -> None:
    """Import what the commands and a server import; each process finds its plugins by itself."""
    packages = [importlib.import_module(f"tradesense.{floor}") for floor in ("adapters", "entrypoints")]
    for package in packages:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not LEFT_OUT & set(module.name.split(".")):
                importlib.import_module(module.name)
    for driver in DRIVERS:
        importlib.import_module(driver)
    assert threading.active_count() == 1, "an import began a thread, which no fork would have"
    gc.freeze()


def forked(listener: socket.socket) -> None:
    """Answer requests for ever; return in the process that was asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the supervisors
    while True:
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        listener.close()
        with connection:
            if _supervised(connection):
                return


def _supervised(connection: socket.socket) -> bool:
    """Fork the process and tell its end; true in that process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, streams, _, _ = socket.recv_fds(connection, WORDS, 3)
    request = json.loads(data)
    if pid := os.fork():
        for stream in streams:
            os.close(stream)
        connection.sendall(f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    _become(request)
    return True


def _become(request: dict[str, Any]) -> None:
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv[:] = request["argv"]
    sys.path[0:0] = [path for path in request["env"].get("PYTHONPATH", "").split(os.pathsep) if path]


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of the tests, which no command sees
    preload()
    address = Path(sys.argv[1])
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.bind(f"{address}.soon")
        waiting.listen(64)
        Path(f"{address}.soon").rename(address)  # whoever finds it is answered
        forked(waiting)
    sys.exit(importlib.import_module("tradesense.entrypoints.cli").main())
