"""Periodic jobs: each runs in one process at a time, whatever the number of workers."""

from __future__ import annotations

import asyncio
import logging

from tradesense.core.errors import LocksUnavailable, TradeSenseError
from tradesense.core.jobs.service import Periodic
from tradesense.entrypoints.services import Services

log = logging.getLogger("tradesense.worker")


async def periodic(services: Services) -> None:
    """Run every periodic job at its interval until cancelled."""
    async with asyncio.TaskGroup() as group:
        for job in services.jobs.periodic:
            group.create_task(_repeat(services, job), name=f"periodic:{job.name}")


async def _repeat(services: Services, job: Periodic) -> None:
    while True:
        await turn(services, job)
        await asyncio.sleep(job.every)


async def turn(services: Services, job: Periodic) -> None:
    """Run the job unless another process has run it within this interval.

    The lease is never given back: it ends with the interval, and until then it tells the others that this is done.
    """
    try:
        lease = await services.locks.acquire(f"periodic:{job.name}", job.every)
        if lease is None:
            return
        result = await job.run()
    except LocksUnavailable as error:
        log.warning("periodic job %s waits for leases: %s", job.name, error.line())
    except TradeSenseError as error:
        log.error("periodic job %s failed: %s", job.name, error.line())  # noqa: TRY400  # one line; no traceback is wanted
        await services.errors.report(error, {"job": job.name})
    else:
        log.info("periodic job %s done: %s", job.name, result)
