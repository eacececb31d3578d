"""Opening and closing one part of the container, within bounds of time, and naming whose it is when that fails."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

from tradesense.core.errors import PluginTimedOut, TradeSenseError
from tradesense.plugins.bounds import Owner

log = logging.getLogger("tradesense.plugins")

OPEN_SECONDS = 7.0
"""How long an adapter may take to open, and to close."""

GRACE_SECONDS = 0.5
"""How much longer an adapter may take that blocks the event loop, so that no timer of the loop can fire."""

_alarm = threading.Lock()
"""Held by the one who has set this process's alarm."""


@asynccontextmanager
async def opened(part: Any, owner: Owner) -> AsyncGenerator[None]:
    """Enter ``part``, and leave it at the end.

    :raises TradeSenseError: the part raised it.
    :raises PluginFailed: it raised anything else; when something else has ended the work already, that goes on.
    :raises PluginTimedOut: it took more than seven seconds.
    """
    async with _watched(owner, "open"):
        await part.__aenter__()
    try:
        yield
    except BaseException as error:
        try:
            async with _watched(owner, "close"):
                await part.__aexit__(type(error), error, error.__traceback__)
        except Exception as later:  # noqa: BLE001  # the first error is the one to tell
            log.error("%s", later)  # noqa: TRY400  # it is ours by now, and one line
        raise
    async with _watched(owner, "close"):
        await part.__aexit__(None, None, None)


@asynccontextmanager
async def _watched(owner: Owner, what: str) -> AsyncGenerator[None]:
    late = owner.timed_out(what, OPEN_SECONDS)
    limit = asyncio.timeout(OPEN_SECONDS)
    try:
        with _unblocked(late):
            async with limit:
                yield
    except TradeSenseError:
        raise
    except (Exception, SystemExit) as error:
        if limit.expired() and isinstance(error, TimeoutError):
            raise late from None
        raise owner.failed(error, doing=f"was to {what}") from error


@contextmanager
def _unblocked(late: PluginTimedOut) -> Generator[None]:
    """Raise ``late`` in this task where it blocks the event loop, so that no timer of the loop can fire.

    Only the main thread of a POSIX system can be reached so, and one task at a time.
    """
    if not _possible() or not _alarm.acquire(blocking=False):
        yield
        return
    task = asyncio.current_task()

    def ring(_number: int, _frame: FrameType | None) -> None:
        if asyncio.current_task() is task:
            raise late

    before = signal.signal(signal.SIGALRM, ring)
    left, _ = signal.setitimer(signal.ITIMER_REAL, OPEN_SECONDS + GRACE_SECONDS, GRACE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, before)
        _alarm.release()


def _possible() -> bool:
    return threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
