"""Work that goes on beside the rest of a process, whatever becomes of one turn of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from tradesense.core.errors import TradeSenseError
from tradesense.core.telemetry.ports import ErrorReporter

log = logging.getLogger("tradesense.worker")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before work that failed is begun again; doubled each time."""

Work = Callable[[], Awaitable[None]]


@asynccontextmanager
async def background(work: Mapping[str, Work], errors: ErrorReporter) -> AsyncGenerator[None]:
    """Run ``work`` until the end of the context, beginning again what ended. Leaving raises nothing of it."""
    tasks = [asyncio.create_task(_kept_up(name, run, errors), name=name) for name, run in work.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for name, ended in zip(work, await asyncio.gather(*tasks, return_exceptions=True), strict=True):
            if isinstance(ended, Exception):
                log.warning("background work %s did not end well: %s", name, told(ended))


async def _kept_up(name: str, run: Work, errors: ErrorReporter) -> None:
    pause = FIRST_PAUSE
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await run()
        except Exception as error:  # noqa: BLE001  # nothing that one turn raises may end the work for ever
            log.warning("background work %s was interrupted: %s", name, told(error))
            await report(errors, error, work=name)
        except asyncio.CancelledError:
            if ending():
                raise
            log.warning("background work %s was interrupted: it was cancelled from within", name)
        if ending():
            return
        if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def told(error: BaseException) -> str:
    """One of our errors on one line; of another its class alone, as its text may hold a secret."""
    if isinstance(error, TradeSenseError):
        return error.line()
    return type(error).__name__


def ending() -> bool:
    """Whether somebody has asked this task to end, and not only something that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def report(errors: ErrorReporter, error: Exception, **context: str) -> None:
    """Report what nobody foresaw. A reporter that fails against its promise is logged."""
    try:
        await errors.report(error, context)
    except Exception as failure:  # noqa: BLE001  # an error about an error must not end the work
        log.warning("the error reporter failed: %s", told(failure))
