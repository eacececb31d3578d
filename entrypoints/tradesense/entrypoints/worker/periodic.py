"""Periodic jobs: each runs in one process at a time, whatever the number of workers."""

from __future__ import annotations

import asyncio
import logging

from tradesense.core.errors import LocksUnavailable
from tradesense.core.jobs.service import Periodic
from tradesense.entrypoints.services import Services
from tradesense.entrypoints.worker.background import ending, report, told
from tradesense.entrypoints.worker.lease import held

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
    A job that lasts longer keeps it. Nothing that a job raises ends its next turn, or another job.
    """
    try:
        lease = await services.locks.acquire(f"periodic:{job.name}", job.every)
        if lease is None:
            return
        result = await held(services.locks, lease, job.run())
    except LocksUnavailable as error:
        log.warning("periodic job %s waits for leases: %s", job.name, error.line())
    except Exception as error:  # noqa: BLE001  # a job may raise anything
        log.error("periodic job %s failed: %s", job.name, told(error))  # noqa: TRY400  # one line; no traceback is wanted
        await report(services.errors, error, job=job.name)
    except asyncio.CancelledError:
        if ending():
            raise
        log.error("periodic job %s failed: it was cancelled from within", job.name)  # noqa: TRY400  # the same
    else:
        log.info("periodic job %s done: %s", job.name, result)
