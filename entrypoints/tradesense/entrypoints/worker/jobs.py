"""`tradesense worker`: does jobs until it is asked to stop, and then finishes what it has begun."""

from __future__ import annotations

import asyncio
import logging
import signal
from functools import partial

from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.services import Services
from tradesense.entrypoints.worker.background import Work, background
from tradesense.entrypoints.worker.periodic import periodic
from tradesense.settings.schema import Settings

log = logging.getLogger("tradesense.worker")


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT.

    :raises ConfigurationError: the platform cannot start as it is set up.
    :raises Unavailable: a dependency that must be there at the start is not.
    """
    if settings.jobs.provider == "memory":
        log.warning("the job queue is in memory: this worker runs periodic jobs only, the server does queued ones")
    async with open_container(settings) as services:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        for port, what in sorted(services.bindings.items()):
            log.info("port %s: %s", port, what)
        log.info(
            "worker ready: queued jobs %s; periodic jobs %s",
            ", ".join(services.jobs.names),
            ", ".join(f"{job.name} every {job.every:g} s" for job in services.jobs.periodic),
        )
        await _until(stop, services)
        log.info("worker stopped")


async def _until(stop: asyncio.Event, services: Services) -> None:
    work: dict[str, Work] = {"queued jobs": services.jobs.work, "periodic jobs": partial(periodic, services)}
    async with background(work, services.errors):
        await stop.wait()
        log.info("worker stops: what it has begun is finished, the rest goes back to the queue")
