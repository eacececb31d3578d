"""Time that is not set back: what has expired stays expired, whatever is done to the host's clock.

Where a database tells the time, its time is everybody's: a process whose host is an hour off neither believes in tokens
for an hour longer nor hands out such that outlive their lives. Between two looks at it, time passes as the host counts
seconds, which nobody can set. Where no database has a time of its own, the host's clock is followed forward, and back
no further than :data:`SLACK`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from tradesense.core.ambient import Clock

SLACK = timedelta(seconds=1)
"""How far a clock may go back unnoticed, as it does when it is slowed down to be right."""

BELIEVED = timedelta(days=2)
"""What was written in a future that is further away than this was written by a clock that was wrong."""


class SteadyClock:
    """See :class:`Clock`. ``host`` may be set at any time."""

    def __init__(self, host: Clock) -> None:
        self._host = host
        self._instant, self._moment = host.now(), host.monotonic()
        self._told = False

    def now(self) -> datetime:
        """See :meth:`Clock.now`. It steps back by a second at most, or to what a database says."""
        steady = self._instant + timedelta(seconds=self._host.monotonic() - self._moment)
        if self._told:
            return steady
        wall = self._host.now()
        if wall > steady:
            self._instant, self._moment = wall, self._host.monotonic()
            return wall
        return wall if steady - wall <= SLACK else steady

    def monotonic(self) -> float:
        """See :meth:`Clock.monotonic`."""
        return self._host.monotonic()

    def tell(self, instant: datetime, moment: float) -> None:
        """A database that everybody asks said ``instant`` to a question of ``moment``, by :meth:`monotonic`."""
        self._instant, self._moment, self._told = instant, moment, True

    def not_before(self, instant: datetime) -> None:
        """Somebody has written ``instant`` down, so that it is not earlier now; see :data:`BELIEVED`."""
        now = self.now()
        if not self._told and now < instant <= now + BELIEVED:
            self._instant, self._moment = instant, self._host.monotonic()


_: type[Clock] = SteadyClock
