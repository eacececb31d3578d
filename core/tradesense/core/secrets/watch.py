"""Telling who depends on a secret that it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from tradesense.core.errors import TradeSenseError
from tradesense.core.secrets.models import StoredSecret
from tradesense.core.secrets.ports import SecretStore

Tell = Callable[[StoredSecret], Awaitable[None]]
Failed = Callable[[str, TradeSenseError], None]


class Watch:
    """Looks at some secrets again and again, past any cache, and tells of a new value once."""

    def __init__(self, store: SecretStore, *, every: float, failed: Failed) -> None:
        """Make it of its parts.

        :param every: seconds between two looks.
        :param failed: called when somebody could not take a new value.
        """
        self._store = store
        self._failed = failed
        self._every = every
        self._tells: dict[str, list[Tell]] = {}
        self._seen: dict[str, StoredSecret] = {}
        self._nudged = asyncio.Event()

    @property
    def paths(self) -> Collection[str]:
        """What is looked at."""
        return tuple(self._tells)

    def on(self, path: str, tell: Tell, *, known: StoredSecret | None = None) -> None:
        """Call ``tell`` with the secret whenever its value is another than the last, or than the ``known`` one.

        Where it raises, it is told again at the next look.
        """
        self._tells.setdefault(path, []).append(tell)
        if known is not None:
            self._seen[path] = known

    def nudge(self, path: str = "") -> None:
        """Look now; ``path`` is one that has changed, if it is known."""
        if not path or path in self._tells:
            self._nudged.set()

    async def look(self) -> int:
        """Look once; returns how many secrets had changed. What cannot be read is as it was."""
        changed = 0
        for path, tells in self._tells.items():
            try:
                found = await self._store.get(path)
            except TradeSenseError:
                continue
            seen = self._seen.get(path)
            if seen is None:
                self._seen[path] = found
            elif seen.value != found.value and await self._told(path, tells, found):
                self._seen[path] = found
                changed += 1
        return changed

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            self._nudged.clear()
            try:
                async with asyncio.timeout(self._every):
                    await self._nudged.wait()
            except TimeoutError:
                continue

    async def _told(self, path: str, tells: Collection[Tell], found: StoredSecret) -> bool:
        try:
            for tell in tells:
                await tell(found)
        except TradeSenseError as error:
            self._failed(path, error)
            return False
        return True
