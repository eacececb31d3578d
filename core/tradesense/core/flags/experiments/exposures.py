"""Taking note of who was shown what: once for each person and variant, and through the outbox."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from tradesense.core.ambient import Clock
from tradesense.core.errors import InvalidInput, JobQueueUnavailable
from tradesense.core.flags.experiments import events
from tradesense.core.flags.models import Exposure
from tradesense.core.jobs.service import Jobs
from tradesense.core.telemetry.ports import Telemetry

REMEMBERED = 100_000
"""Exposures that this process knows to have been taken; who comes back after that many others is sent once more."""
MOST_WAITING = 50_000
"""Exposures that are held while the outbox is away. Beyond it the newest are dropped, and come again when they do."""
BATCH = 500
PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two batches, and between two attempts at an outbox that is away."""

Seen = tuple[str, str, str]


class Exposures:
    """Collects exposures and hands them to the outbox in batches."""

    def __init__(self, *, jobs: Jobs, clock: Clock, telemetry: Telemetry) -> None:
        self._jobs = jobs
        self._clock = clock
        self._telemetry = telemetry
        self._seen: OrderedDict[Seen, None] = OrderedDict()
        self._waiting: list[Exposure] = []
        self._some = asyncio.Event()

    def note(self, flag: str, variant: str, targeting_key: str) -> None:
        """Somebody was shown a variant. It costs a look-up where that is known already, and never raises."""
        key = (flag, variant, targeting_key)
        if key in self._seen:
            self._seen.move_to_end(key)
            return
        if len(self._waiting) >= MOST_WAITING:
            return
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        now = self._clock.now()
        self._waiting.append(Exposure(flag=flag, variant=variant, targeting_key=targeting_key, at=now))
        # Who it was stays out of telemetry.
        self._telemetry.event(
            events.EVENT,
            {
                "feature_flag.key": flag,
                "feature_flag.result.variant": variant,
                "feature_flag.result.reason": "split",
                "feature_flag.provider.name": events.PROVIDER,
            },
        )
        self._some.set()

    async def run(self) -> None:
        """Hand over what was noted until cancelled, and the rest then."""
        pause = PAUSE
        try:
            while True:
                await self._some.wait()
                pause = PAUSE if await self._handed_over() else min(2 * pause, LONGEST_PAUSE)
                await asyncio.sleep(pause)
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Hand over what waits now, as far as the outbox takes it."""
        while self._waiting and await self._handed_over():
            pass

    async def _handed_over(self, most: int = BATCH) -> bool:
        """Whether the outbox has taken the first of them, at most so many."""
        batch = self._waiting[:most]
        try:
            await self._jobs.enqueue(events.EVENT, events.payload(batch))
        except JobQueueUnavailable:
            return False
        except InvalidInput:  # more than one job holds
            if len(batch) > 1:
                return await self._handed_over(len(batch) // 2)
        del self._waiting[: len(batch)]
        if not self._waiting:
            self._some.clear()
        return True
