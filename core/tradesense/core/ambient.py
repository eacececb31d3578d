"""Time, randomness and identifiers: the three things that a pure core may not take by itself."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Where every instant and every duration comes from."""

    def now(self) -> datetime:
        """The current instant, timezone-aware, in UTC. It may step backwards when the host's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed point, never going backwards; for measuring durations only."""
        ...


class Random(Protocol):
    """A cryptographically secure source (ASVS 11.5.1)."""

    def bytes(self, count: int) -> bytes:
        """Return ``count`` unpredictable bytes; ``count`` is at least 1."""
        ...


class Ids(Protocol):
    """Names for new objects. They are unique and sortable by birth; they are not secrets (ASVS 7.2.3)."""

    def new(self) -> str:
        """A fresh UUID version 7 (RFC 9562, section 5.7) in its 36-character form."""
        ...
