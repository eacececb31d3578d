"""Leaving a server alone that does not answer (a circuit breaker, as in Nygard's "Release It!")."""

from __future__ import annotations

from collections.abc import Callable

FAILURES = 5
"""Failures in a row after which the server is left alone."""
REST_SECONDS = 1.0
"""How long it is left alone until one caller tries again. A server that is back is found within this time."""


class Breaker:
    """Counts what becomes of calls to one server.

    Closed, it admits everybody. After :data:`FAILURES` in a row it is open: one caller in ``rest`` seconds is admitted
    to try, and the others are spared the wait. The first success closes it. An answer is a success even where it
    refuses; a call of which nobody knows what became counts as neither.
    """

    def __init__(self, now: Callable[[], float], *, failures: int = FAILURES, rest: float = REST_SECONDS) -> None:
        self._now = now
        self._most = failures
        self._rest = rest
        self._failures = 0
        self._retry_at = 0.0

    @property
    def open(self) -> bool:
        """Whether the server is left alone."""
        return self._failures >= self._most

    @property
    def failing(self) -> bool:
        """Whether the last call failed."""
        return self._failures > 0

    def admits(self) -> bool:
        """Whether this caller may ask the server."""
        if self._failures < self._most:
            return True
        now = self._now()
        if now < self._retry_at:
            return False
        self._retry_at = now + self._rest
        return True

    def worked(self) -> None:
        """The server has answered."""
        self._failures = 0

    def failed(self) -> None:
        """The server has not answered."""
        self._failures += 1
        if self._failures >= self._most:
            self._retry_at = self._now() + self._rest
