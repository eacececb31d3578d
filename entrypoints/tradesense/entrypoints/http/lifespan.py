"""A server process from its start to its end: the container around the application, and background work beside it."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Any

import structlog
from litestar.types import ASGIApp, Receive, Send

from tradesense.core.errors import TradeSenseError
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.http.administrator import first_administrator
from tradesense.entrypoints.http.app import create_app
from tradesense.entrypoints.http.ending import Ending
from tradesense.entrypoints.http.readiness import Readiness
from tradesense.entrypoints.lines import Lines
from tradesense.entrypoints.services import Services
from tradesense.entrypoints.worker.background import Work, told
from tradesense.entrypoints.worker.background import background as kept_up
from tradesense.entrypoints.worker.outcomes import log_outcome, log_waiting
from tradesense.entrypoints.worker.periodic import periodic
from tradesense.plugins.manager import Plugins
from tradesense.settings.schema import Settings

log = structlog.stdlib.get_logger("tradesense.http")

DRAIN = signal.SIGUSR1
"""Tells a server process to say that it is not ready, while it still answers."""


class Server:
    """The ASGI application of one server process. It opens the container when the server starts it."""

    def __init__(self, settings: Settings, plugins: Plugins | None = None, *, ending: Ending | None = None) -> None:
        self._settings = settings
        self._plugins = plugins
        self._ending = ending or Ending()
        self._app: ASGIApp | None = None

    def __call__(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand requests on, and live through the server's lifespan."""
        if self._app is None or scope["type"] == "lifespan":
            return self._live(receive, send)
        return self._app(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        stack = AsyncExitStack()
        try:
            services = await stack.enter_async_context(open_container(self._settings, plugins=self._plugins))
            await self._start(stack, services)
        except TradeSenseError as error:
            await _closed(stack)
            raise SystemExit(self._ending.tell(error)) from error
        except Exception as error:
            log.critical("the start failed", exc_info=error)
            await _closed(stack)
            raise SystemExit(1) from error
        gc.freeze()  # what is there now stays: no collection need look at it again
        gc.enable()
        try:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        finally:
            await _closed(stack)
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self, stack: AsyncExitStack, services: Services) -> None:
        readiness = Readiness(services.health, services.clock)
        loop = asyncio.get_running_loop()

        def drain() -> None:
            readiness.drain()
            services.hub.end("the server is closing")

        loop.add_signal_handler(DRAIN, drain)
        # A terminal sends it to all processes of the group; the first of them ends the others in order.
        loop.add_signal_handler(signal.SIGINT, log.debug, "interrupted")
        lines = stack.enter_context(Lines())
        self._app = create_app(services, readiness=readiness, log_to=lines)
        await stack.enter_async_context(background(services))
        if (made := await first_administrator(services)) is not None:
            # The one place where a password is shown: made at random, for a development machine, this once.
            sys.stdout.write(f"admin: {made.email} {made.password.reveal()}\n")
            sys.stdout.flush()


async def _closed(stack: AsyncExitStack) -> None:
    """Close everything. What cannot be closed is logged, as the process ends in any case."""
    try:
        await stack.aclose()
    except Exception as error:  # noqa: BLE001  # whatever it is, the other parts are closed
        log.error("not everything could be closed", error=type(error).__qualname__, detail=told(error))  # noqa: TRY400  # one line


def background(services: Services) -> AbstractAsyncContextManager[None]:
    """What works beside the requests: notices of the cache, and jobs where the server does them."""
    # The outbox here as well where a worker does the jobs, as it is woken by what is committed here.
    work: dict[str, Work] = {
        "cache notices": services.cache.run,
        "flag notices": services.flags.run,
        "exposures": services.experiments.run,
        "outbox": partial(services.relay.run, log_waiting),
    }
    if services.secrets.cached:
        work["secret notices"] = services.secrets.run
    if services.keys.can_retire:
        work["retired keys"] = services.keys.run
    if services.watch.paths:
        work["watched secrets"] = services.watch.run
    if services.settings.jobs.embedded:
        work["events"] = services.events.work
        work["queued jobs"] = partial(services.jobs.work, log_outcome)
        work["periodic jobs"] = partial(periodic, services)
    return kept_up(work, services.errors)
