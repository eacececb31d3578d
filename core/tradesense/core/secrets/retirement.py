"""What every process learns when a key-encryption key is retired: to hold no data key any more that it unwrapped."""

from __future__ import annotations

import asyncio

from tradesense.core.cache.ports import Backplane
from tradesense.core.errors import BackplaneUnavailable, SecretStoreUnavailable
from tradesense.core.secrets.envelope import Sealer
from tradesense.core.secrets.ports import KeyRing

TOPIC = "tradesense.secrets.retired"
LOOK_SECONDS = 1.0
"""How often a process that holds data keys looks whether the ring has lost a key."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Seconds between two attempts to subscribe."""


class Retirement:
    """Drops data keys in this process as soon as a key is retired in any.

    It is told over the backplane, and looks by itself, as processes may share a ring and no backplane. All data keys
    are dropped, whatever wraps them: a retirement is rare, and each is asked for again by who needs it.
    """

    def __init__(self, *, sealer: Sealer, ring: KeyRing, backplane: Backplane, every: float = LOOK_SECONDS) -> None:
        self._sealer = sealer
        self._ring = ring
        self._backplane = backplane
        self._every = every
        self._known: frozenset[str] = frozenset()

    async def tell(self) -> None:
        """Tell every process, this one included, that a key was retired."""
        self._sealer.forget()
        try:
            await self._backplane.publish(TOPIC, b"retired")
        except BackplaneUnavailable:
            return  # they look by themselves

    async def run(self) -> None:
        """Listen and look until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._look())

    async def _listen(self) -> None:
        wait = FIRST_PAUSE
        while True:
            try:
                async with self._backplane.subscribe(TOPIC) as messages:
                    wait = FIRST_PAUSE
                    async for _ in messages:
                        self._sealer.forget()
            except BackplaneUnavailable:
                pass
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_PAUSE)

    async def _look(self) -> None:
        while True:
            if self._sealer.holding:
                try:
                    known = frozenset(key.key_id for key in await self._ring.keys())
                except SecretStoreUnavailable:
                    pass  # what it holds ends by itself
                else:
                    if self._known - known:
                        self._sealer.forget()
                    self._known = known
            await asyncio.sleep(self._every)
