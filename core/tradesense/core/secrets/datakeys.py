"""Data keys that were unwrapped a moment ago: a secret that is read again does not ask the key provider again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

from tradesense.core.secrets.ports import Opener

MOST = 1_000
"""Keys that a process holds."""
SECONDS = 60.0
"""How long it holds each, unless a key-encryption key is retired: then every process drops them all."""


Place = tuple[str, int]
"""Path and version."""


class Held(NamedTuple):
    """What opens one envelope again."""

    head: bytes
    """Of the envelope, all that stands before its ciphertext: the wrapped key, the id of what wraps it, the nonce."""
    opener: Opener
    nonce: bytes
    associated: bytes
    until: float


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

    def keep(self, place: Place, head: bytes, opener: Opener, nonce: bytes, associated: bytes) -> None:
        """Hold what opens that version of a secret from now on; once closed, nothing is held."""
        if not self._open:
            return
        now = self.now()
        self._drop(now)
        self.held.pop(place, None)
        if len(self.held) >= self._most:
            del self.held[next(iter(self.held))]
        self.held[place] = Held(head, opener, nonce, associated, now + self._seconds)

    def forget(self) -> None:
        """Drop every key."""
        self.held.clear()

    def _drop(self, now: float) -> None:
        while self.held:
            place = next(iter(self.held))
            if self.held[place].until > now:
                return
            del self.held[place]
