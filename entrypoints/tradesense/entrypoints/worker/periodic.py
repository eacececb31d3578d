"""Periodic jobs: each runs in one process at a time, whatever the number of workers."""

from __future__ import annotations

import asyncio
import time
from asyncio import sleep
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import pycron  # type: ignore[import-untyped]  # it ships no marker of its types
import structlog

from tradesense.core.acting import Who, acting, declared
from tradesense.core.cache.leases import Held, LeaseKeeper
from tradesense.core.errors import LeaseLost, LeaseTaken, LocksUnavailable
from tradesense.core.jobs.service import Periodic
from tradesense.entrypoints.services import Services
from tradesense.entrypoints.worker.background import ending, report, told

CRON_LEASE = 50.0
"""Seconds after which a run by the calendar whose process died no longer keeps the next one from running."""
MINUTE_LEASE = 30 * 60.0
"""Seconds for which a minute of the calendar is taken: hosts whose clocks differ by less take it for the same."""
LONGEST_SLEEP = 10.0
"""Seconds after which the clock is read again, as it may have been set."""

_is_now: Callable[[str, datetime], bool] = pycron.is_now

log = structlog.stdlib.get_logger("tradesense.worker")


async def periodic(services: Services) -> None:
    """Run every periodic job at its interval or by the calendar, until cancelled."""
    async with asyncio.TaskGroup() as group:
        for job in services.jobs.periodic:
            group.create_task(_repeat(services, job), name=f"periodic:{job.name}")


async def _repeat(services: Services, job: Periodic) -> None:
    while True:
        if job.cron:
            await _until(services, next_minute(services.clock.now()))
            now = services.clock.now()
            if _is_now(job.cron, now):
                await turn(services, job, minute=now.minute)
        else:
            await turn(services, job)
            await sleep(job.every)


def next_minute(now: datetime) -> datetime:
    """When the next minute begins."""
    return now.replace(second=0, microsecond=0) + timedelta(minutes=1)


async def _until(services: Services, instant: datetime) -> None:
    while (left := (instant - services.clock.now()).total_seconds()) > 0:  # noqa: ASYNC110  # no event tells the time
        await sleep(min(left, LONGEST_SLEEP))


async def turn(services: Services, job: Periodic, *, minute: int | None = None) -> None:
    """Run the job unless another process has run it within this interval, or has taken this minute of the calendar.

    The lease of an interval, or of a minute, is never given back: it ends with its time, and until then it tells the
    others that this is done. A job with an interval that lasts longer keeps its lease. One of the calendar has a second
    lease while it runs, so that a minute which begins meanwhile is passed over, and the next one after it is not.
    Nothing that a job raises ends its next turn, or another job.
    """
    began = time.perf_counter()
    fields: dict[str, object] = {"job": job.name}
    keeper = LeaseKeeper(services.locks)
    try:
        held = await _turn_of(keeper, job, minute)
        if held is None:
            return
        async with keeper.keep(held, cancel=True, give_back=minute is not None):
            result = await _guarded(job)
    except (LocksUnavailable, LeaseLost) as error:
        log.warning("periodic job waits for leases", **fields, error=error.code, detail=error.line())
    except Exception as error:  # noqa: BLE001  # a job may raise anything
        log.error("periodic job", **fields, outcome="failed", error=type(error).__name__, detail=told(error))  # noqa: TRY400  # one line; no traceback is wanted
        await report(services.errors, error, job=job.name)
    except asyncio.CancelledError:
        if ending():
            raise
        log.error("periodic job", **fields, outcome="failed", error="CancelledError", detail="cancelled from within")  # noqa: TRY400  # the same
    else:
        seconds = time.perf_counter() - began
        log.info("periodic job", **fields, outcome="succeeded", duration_ms=round(seconds * 1000, 3), result=result)


async def _turn_of(keeper: LeaseKeeper, job: Periodic, minute: int | None) -> Held | None:
    """The lease under which the job runs; ``None`` where this turn is another process's, or the last one goes on."""
    name = f"periodic:{job.name}"
    if minute is None:
        with suppress(LeaseTaken):
            return await keeper.take(name, job.every)
        return None
    with suppress(LeaseTaken):
        # One name for each minute of an hour, so that a provider which keeps names for ever keeps sixty.
        await keeper.take(f"{name}:{minute}", MINUTE_LEASE)
        try:
            return await keeper.take(name, CRON_LEASE)
        except LeaseTaken:
            log.warning("periodic job", job=job.name, outcome="passed over", detail="it is still running")
    return None


async def _guarded(job: Periodic) -> object:
    """Run the job, which leaves on the audit trail what it declared and nothing else."""
    with acting(declared(job.run, f"the periodic job {job.name!r}", who=Who.SYSTEM)):
        return await job.run()
