"""What the processes tell each other: a definition has changed, read them again. Without it they find out by asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tradesense.core.cache.ports import Backplane
from tradesense.core.errors import BackplaneUnavailable

TOPIC = "tradesense.flags"
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Seconds between two attempts to subscribe."""


class FlagNotices:
    """Sends and receives. What is missed is found out within ``flags.refresh`` seconds, so nothing here has to work."""

    def __init__(self, backplane: Backplane, *, heard: Callable[[], None]) -> None:
        self._backplane = backplane
        self._heard = heard

    async def tell(self) -> None:
        """Tell every process, this one included, that something has changed."""
        try:
            await self._backplane.publish(TOPIC, b"changed")
        except BackplaneUnavailable:
            return

    async def listen(self) -> None:
        """Receive until cancelled. A subscription that was lost is taken up again, and counts as a notice."""
        wait = FIRST_PAUSE
        while True:
            try:
                async with self._backplane.subscribe(TOPIC) as messages:
                    self._heard()
                    wait = FIRST_PAUSE
                    async for _ in messages:
                        self._heard()
            except BackplaneUnavailable:
                pass
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_PAUSE)
