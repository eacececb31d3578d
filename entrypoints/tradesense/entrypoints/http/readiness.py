"""Whether this process should be sent requests."""

from __future__ import annotations

import asyncio

from tradesense.core.ambient import Clock
from tradesense.core.telemetry.models import Status
from tradesense.core.telemetry.service import HealthService, Report

REMEMBER_SECONDS = 1.0
"""Anyone may ask for readiness, so the dependencies are asked at most this often."""


class Readiness:
    """Remembers the last report for a second, and whether the server is about to stop."""

    def __init__(self, health: HealthService, clock: Clock) -> None:
        self._health = health
        self._clock = clock
        self._asking = asyncio.Lock()
        self._report: Report | None = None
        self._until = float("-inf")
        self._draining = asyncio.Event()

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop accepting, so that who balances the load sends no more."""
        return self._draining.is_set()

    def drain(self) -> None:
        """Say from now on that this process is not ready."""
        self._draining.set()

    async def drained(self) -> None:
        """Return once :meth:`drain` was called: whatever does not end by itself ends now."""
        await self._draining.wait()

    async def report(self) -> Report:
        """The state of the dependencies, at most a second old."""
        async with self._asking:
            if self._report is None or self._clock.monotonic() >= self._until:
                self._report = await self._health.report()
                self._until = self._clock.monotonic() + REMEMBER_SECONDS
            return self._report

    async def ready(self) -> tuple[bool, str]:
        """Whether to send requests here, and one word for why."""
        if self.draining:
            return False, "draining"
        status = (await self.report()).status
        return status is not Status.DOWN, status.value
