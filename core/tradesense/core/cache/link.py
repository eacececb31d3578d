"""Whether a server answers, and when it is worth asking again."""

from __future__ import annotations

from collections.abc import Callable

RETRY_SECONDS = 0.5


class Link:
    """One direction to one server. While it is down, one caller in half a second tries; the others go on without."""

    def __init__(self, now: Callable[[], float], *, retry: float = RETRY_SECONDS) -> None:
        self.up = True
        self.detail = ""
        """What the last error said."""
        self._now = now
        self._retry = retry
        self._retry_at = 0.0

    def usable(self) -> bool:
        """Whether to try now."""
        if self.up:
            return True
        now = self._now()
        if now < self._retry_at:
            return False
        self._retry_at = now + self._retry
        return True

    def worked(self) -> None:
        """The server has answered."""
        self.up = True
        self.detail = ""

    def failed(self, detail: str) -> None:
        """The server has not."""
        self.up = False
        self.detail = detail
        self._retry_at = self._now() + self._retry
