"""The server's processes, under granian."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from tradesense.entrypoints.http.ending import CONFIGURATION, UNAVAILABLE
from tradesense.entrypoints.http.lifespan import DRAIN

STOP_SECONDS = 20
"""How long a process may take to finish what it has begun."""

HEADER_MILLISECONDS = 10_000
"""How long a client may take to send its headers."""

SET_PARENT_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of prctl(2)."""

QUIET: dict[str, Any] = {"formatters": {}, "handlers": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}
"""What granian has to say goes where our own logs go."""

Load = Callable[[], Any]
"""Makes the application, in the process that will serve it."""


class ServerProcesses:
    """One or several processes that share a port, until a signal ends them."""

    def __init__(self, load: Load, *, host: str, port: int, processes: int, drain: float) -> None:
        self._load = load
        self._drain = drain
        self.ended = threading.Event()
        """Set once the processes have ended."""
        self._granian = _Granian(
            "tradesense",
            address=host,
            port=port,
            workers=processes,
            interface=Interfaces.ASGI,
            loop=Loops.asyncio,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS),
            websockets=True,
            log_level=LogLevels.warning,
            log_dictconfig=QUIET,
            workers_kill_timeout=STOP_SECONDS,
        )

    def run(self, *, begun: Callable[[], None]) -> int:
        """Serve, and return the exit code: 0 after a signal, else that of the process that gave up.

        ``begun`` is called once the processes have been forked. No thread may run before that: a fork copies the
        locks that it holds, and the child would wait for them for ever.
        """
        self._granian.drain = self._drain
        self._granian.begun = begun
        logging.getLogger("_granian").addFilter(self._granian.unexplained)
        try:
            self._granian.serve(target_loader=_Owned(self._load, os.getpid()), wrap_loader=False)
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 1
        finally:
            logging.getLogger("_granian").removeFilter(self._granian.unexplained)
            self.ended.set()
        return 0


class _Owned:
    """Loads the application in a process that ends with the one that began it."""

    def __init__(self, load: Load, owner: int) -> None:
        self._load = load
        self._owner = owner

    def __call__(self) -> Any:
        signal.signal(DRAIN, signal.SIG_IGN)  # until there is something to drain
        with suppress(AttributeError, OSError):  # prctl is Linux's; elsewhere an orphan ends with its last connection
            ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != self._owner:
            raise SystemExit(1)
        return self._load()


class _Granian(MPServer):
    """Granian's server, which says that it is not ready before it stops, and keeps a process's exit code."""

    drain: float = 0.0
    begun: Callable[[], None]
    _explained = False

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        super()._spawn_workers(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # granian has no types here
        self.begun()

    def unexplained(self, record: logging.LogRecord) -> bool:
        """Whether a record is news: not of a process that has said why it ended, nor of killing one that is gone.

        Two threads wait for each process. While the one has seen its end and not yet noted it, to the other it lives.
        """
        workers: list[Any] = list(self.wrks)
        if record.getMessage().startswith("Killing worker"):
            return any(_exists(worker.inner.pid) for worker in workers)
        if not record.getMessage().startswith("Unexpected exit"):
            return True
        self._explained |= any(worker.inner.exitcode in {UNAVAILABLE, CONFIGURATION} for worker in workers)
        return not self._explained

    def shutdown(self, exit_code: int = 0) -> None:
        """Drain, then stop the processes.

        :raises SystemExit: a process ended by itself.
        """
        workers: list[Any] = list(self.wrks)
        failed = [code for code in (worker.inner.exitcode for worker in workers) if code is not None and code > 0]
        if self.interrupt_signal and not failed:
            self._drained(workers)
        super().shutdown(failed[0] if failed else exit_code)  # type: ignore[no-untyped-call]  # granian has no types here

    def _drained(self, workers: list[Any]) -> None:
        """Wait while the balancer takes notice; a second signal ends the wait."""
        for worker in workers:
            worker.interrupt_by_parent = True
            with suppress(ProcessLookupError):
                os.kill(worker.inner.pid, DRAIN)
        self.main_loop_interrupt.clear()
        self.main_loop_interrupt.wait(self.drain)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
