"""Lines to a file descriptor: those of one turn of the event loop together, in order, and none lost on the way out."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from contextlib import suppress
from multiprocessing.util import Finalize
from typing import Self

STDERR = 2
ATOMIC = 4096
"""Bytes that several processes may write to one pipe without their lines getting mixed (``PIPE_BUF`` of Linux)."""
LAST = 100
"""The lines are written before what else is done at the end of a process."""


class Lines:
    """Entered in a running event loop, it gathers lines until the loop's next turn; else each is written at once.

    What the logging framework writes comes after the lines that were there before it. A line that cannot be written is
    dropped: a full disk must not become a failed request. A process that is killed loses the lines of one turn.
    """

    def __init__(self, descriptor: int = STDERR) -> None:
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        for handler in logging.getLogger().handlers:
            handler.addFilter(self._before)
        self._at_exit = Finalize(self, self.flush, exitpriority=LAST)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop = None
        for handler in logging.getLogger().handlers:
            handler.removeFilter(self._before)
        self._at_exit.cancel()
        self.flush()

    def write(self, line: bytes) -> None:
        """Write a line, which has no line end of its own. To be called in the thread of the loop."""
        waiting = self._waiting
        if not waiting and self._loop is not None:
            self._loop.call_soon(self.flush)
        waiting.append(line)
        if self._loop is None:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Any thread may."""
        waiting = self._waiting
        with self._lock:
            while waiting:
                batch = [waiting.popleft()]
                size = len(batch[0]) + 1
                while waiting and (size := size + len(waiting[0]) + 1) <= ATOMIC:
                    batch.append(waiting.popleft())
                batch.append(b"")
                self._put(b"\n".join(batch))

    def _put(self, data: bytes) -> None:
        with suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]

    def _before(self, _: logging.LogRecord) -> bool:
        if self._waiting:
            self.flush()
        return True
