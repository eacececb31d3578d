"""Turns: who asks a provider waits here until it may, and not within the time that the provider has to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from weakref import WeakValueDictionary

from tradesense.core.errors import SecretStoreUnavailable

LONGEST_WAIT = 30.0
"""Seconds that anybody waits for a turn."""


class Turns:
    """Those of one process that ask one provider at once; the others wait in the order in which they came."""

    def __init__(self, *, most: int, origin: str, longest: float = LONGEST_WAIT) -> None:
        """Make it of its bounds.

        :param most: how many may ask at once.
        :param origin: what an error names as where it came from.
        """
        self._asking = asyncio.Semaphore(most)
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._origin = origin
        self._longest = longest

    def asking(self) -> AbstractAsyncContextManager[None]:
        """Run the body, one request, as one of ``most``.

        :raises SecretStoreUnavailable: there was no turn within ``longest`` seconds.
        """
        return self._taken(self._asking, "too much is asked of the secret provider at once")

    def writing(self, path: str) -> AbstractAsyncContextManager[None]:
        """Run the body, a write of several requests, as the only one of this process at ``path``.

        Of many that expect the same version all but the first so find another one by their first request; they need
        not be refused, each after a write of its own, by the provider.

        :raises SecretStoreUnavailable: there was no turn within ``longest`` seconds.
        """
        lock = self._writing.get(path)
        if lock is None:
            lock = self._writing[path] = asyncio.Lock()
        return self._taken(lock, f"too many write the secret {path!r} at once")

    @asynccontextmanager
    async def _taken(self, turn: asyncio.Lock | asyncio.Semaphore, crowded: str) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._longest):
                await turn.acquire()
        except TimeoutError as error:
            raise SecretStoreUnavailable(
                f"{crowded}: there was no turn within {self._longest:g} s", origin=self._origin, mend="ask less at once"
            ) from error
        try:
            yield
        finally:
            turn.release()
