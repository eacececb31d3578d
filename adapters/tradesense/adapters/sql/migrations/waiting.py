"""One migrator at a time, and a word to whoever has to wait."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from tradesense.adapters.sql._url import ORIGIN
from tradesense.core.errors import DatabaseUnavailable

PATIENCE: Final = 60.0
"""Seconds to wait for another process that migrates the same database."""
PAUSE: Final = 0.05
SILENT: Final = 1.0
"""Seconds to wait without a word."""

_log = logging.getLogger(__name__)


@contextmanager
def told(what: str, seconds: float) -> Generator[None]:
    """Log, unless the body ends within a second, that this process waits for ``seconds`` at most, and for what."""
    timer = asyncio.get_running_loop().call_later(SILENT, _log.warning, "waiting up to %g s, as %s", seconds, what)
    try:
        yield
    finally:
        timer.cancel()


@asynccontextmanager
async def turn(path: Path, place: str) -> AsyncGenerator[None]:
    """This process's turn to migrate the SQLite file ``path``. It is over, too, when the process ends in any way.

    The lock is on the folder: one on the file itself would disturb those of SQLite, and one beside it would be left.

    :raises DatabaseUnavailable: another process did not finish in time.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with told(f"another process migrates {place}", PATIENCE):
            await _locked(folder, place)
        yield
    finally:
        os.close(folder)


async def _locked(folder: int, place: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if loop.time() > deadline:
                raise DatabaseUnavailable(
                    f"{place}: another process has been migrating it for {PATIENCE:g} s",
                    origin=ORIGIN,
                    mend="let it finish, and try again",
                ) from error
        else:
            return
        await asyncio.sleep(PAUSE)
