"""`tradesense worker`: does jobs until it is asked to stop, and then finishes what it has begun."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial

import structlog

from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.services import Services
from tradesense.entrypoints.worker.background import Work, background
from tradesense.entrypoints.worker.outcomes import log_outcome, log_waiting
from tradesense.entrypoints.worker.periodic import periodic
from tradesense.settings.schema import Settings

log = structlog.stdlib.get_logger("tradesense.worker")


async def run(settings: Settings, *, prepare: Callable[[Services], None] = lambda _: None) -> None:
    """Work until SIGTERM or SIGINT.

    :param prepare: is called before the first job is done, to add handlers.
    :raises ConfigurationError: the platform cannot start as it is set up.
    :raises Unavailable: a dependency that must be there at the start is not.
    """
    async with open_container(settings) as services:
        prepare(services)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        for port, what in sorted(services.bindings.items()):
            log.info("binding", port=port, adapter=what)
        log.info(
            "worker ready",
            queued=list(services.jobs.names),
            periodic=_timetable(services),
            events=list(services.events.subscriptions),
        )
        await _until(stop, services)
    log.info("worker stopped")


def _timetable(services: Services) -> dict[str, str]:
    return {job.name: job.cron or f"every {job.every:g} s" for job in services.jobs.periodic}


async def _until(stop: asyncio.Event, services: Services) -> None:
    work: dict[str, Work] = {
        "outbox": partial(services.relay.run, log_waiting),
        "events": services.events.work,
        "queued jobs": partial(services.jobs.work, log_outcome),
        "periodic jobs": partial(periodic, services),
    }
    if services.secrets.cached:
        work["secret notices"] = services.secrets.run
    if services.keys.can_retire:
        work["retired keys"] = services.keys.run
    if services.watch.paths:
        work["watched secrets"] = services.watch.run
    async with background(work, services.errors):
        await stop.wait()
        log.info("worker stops: what it has begun is finished, the rest goes back to the queue")
