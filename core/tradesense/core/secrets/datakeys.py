"""Data keys that were unwrapped a moment ago: a secret that is read again does not ask the key provider again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

from tradesense.core.secrets.ports import Opener

MOST = 1_000
"""Keys that a process holds."""
SECONDS = 60.0
"""How long it holds each. A key-encryption key that was retired unwraps no more after this at the latest."""


Place = tuple[str, int, str, bytes]
"""What a data key is for: path, version, the id of the key that wraps it, and itself as it is wrapped. All of it is
bound by the key provider, so all of it must be the same again."""


class Held(NamedTuple):
    """What opens one envelope again."""

    until: float
    opener: Opener
    associated: bytes


class DataKeys:
    """Openers by what their keys are for; in this process alone, bounded in number and in time, none once closed.

    They hold their keys: what is dropped here is wiped from memory by the cipher.
    """

    def __init__(self, *, now: Callable[[], float], most: int = MOST, seconds: float = SECONDS) -> None:
        self.now = now
        self._most = most
        self._seconds = seconds
        self.held: dict[Place, Held] = {}
        """In the order of their ends, as all are held for the same time. Who takes one looks whether it is over."""
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        self.forget()

    def __len__(self) -> int:
        return len(self.held)

    def keep(self, place: Place, opener: Opener, associated: bytes) -> None:
        """Hold it from now on; once closed, nothing is held."""
        if not self._open:
            return
        now = self.now()
        self._drop(now)
        self.held.pop(place, None)
        if len(self.held) >= self._most:
            del self.held[next(iter(self.held))]
        self.held[place] = Held(now + self._seconds, opener, associated)

    def forget(self) -> None:
        """Drop every key."""
        self.held.clear()

    def _drop(self, now: float) -> None:
        while self.held:
            place = next(iter(self.held))
            if self.held[place].until > now:
                return
            del self.held[place]
