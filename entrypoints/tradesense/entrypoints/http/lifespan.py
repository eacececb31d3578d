"""A server process from its start to its end: the container around the application, and background work beside it."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import structlog
from litestar.types import ASGIApp, Receive, Send

from tradesense.core.errors import ConfigurationError, TradeSenseError
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.http.administrator import first_administrator
from tradesense.entrypoints.http.app import create_app
from tradesense.entrypoints.http.readiness import Readiness
from tradesense.entrypoints.services import Services
from tradesense.entrypoints.worker.periodic import periodic
from tradesense.plugins.manager import Plugins
from tradesense.settings.schema import Settings

log = structlog.stdlib.get_logger("tradesense.http")

DRAIN = signal.SIGUSR1
"""Tells a server process to say that it is not ready, while it still answers."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before background work that failed is begun again; doubled each time."""

EXIT_UNAVAILABLE, EXIT_CONFIGURATION = 69, 78
"""``EX_UNAVAILABLE`` and ``EX_CONFIG`` of sysexits.h."""


class Server:
    """The ASGI application of one server process. It opens the container when the server starts it."""

    def __init__(self, settings: Settings, plugins: Plugins | None = None) -> None:
        self._settings = settings
        self._plugins = plugins
        self._app: ASGIApp | None = None

    def __call__(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand requests on, and live through the server's lifespan."""
        if self._app is None or scope["type"] == "lifespan":
            return self._live(receive, send)
        return self._app(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                services = await stack.enter_async_context(open_container(self._settings, plugins=self._plugins))
                await self._start(stack, services)
            except TradeSenseError as error:
                await stack.aclose()
                _give_up(error)
            except Exception as error:
                log.critical("the start failed", exc_info=error)
                raise SystemExit(1) from error
            gc.freeze()  # what is there now stays: no collection need look at it again
            gc.enable()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self, stack: AsyncExitStack, services: Services) -> None:
        readiness = Readiness(services.health, services.clock)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(DRAIN, setattr, readiness, "draining", True)
        # A terminal sends it to all processes of the group; the first of them ends the others in order.
        loop.add_signal_handler(signal.SIGINT, log.debug, "interrupted")
        self._app = create_app(services, readiness=readiness)
        await stack.enter_async_context(background(services))
        if (made := await first_administrator(services)) is not None:
            # The one place where a password is shown: made at random, for a development machine, this once.
            sys.stdout.write(f"admin: {made.email} {made.password.reveal()}\n")
            sys.stdout.flush()


def _give_up(error: TradeSenseError) -> None:
    """End the process with one line and the exit code that the documentation gives to the error."""
    sys.stderr.write(f"error: {error.line()}\n")
    sys.stderr.flush()
    raise SystemExit(EXIT_CONFIGURATION if isinstance(error, ConfigurationError) else EXIT_UNAVAILABLE)


@asynccontextmanager
async def background(services: Services) -> AsyncGenerator[None]:
    """Run what works beside the requests: notices of the cache, and jobs where the server does them."""
    work: dict[str, Callable[[], Awaitable[None]]] = {"cache notices": services.cache.run}
    if services.settings.jobs.embedded:
        work["queued jobs"] = services.jobs.work
        work["periodic jobs"] = lambda: periodic(services)
    tasks = [asyncio.create_task(_kept_up(name, run), name=name) for name, run in work.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def _kept_up(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Begin the work again whenever a dependency ended it."""
    pause = FIRST_PAUSE
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await run()
        except TradeSenseError as error:
            log.warning("background work was interrupted", work=name, error=error.code, detail=error.line())
        if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
