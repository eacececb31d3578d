"""A change of a definition: written under audit, then told to every process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import ReviewRequired
from tradesense.core.flags.definitions import Definitions
from tradesense.core.flags.models import Stored
from tradesense.core.flags.notices import FlagNotices

PROPOSE = "propose it, by POST /api/v1/{room}/KEY/changes or `tradesense {room} propose KEY FILE`"


class Changes:
    """What flags and segments have in common when they are changed.

    :param joined: whether the store's writes join the transactions of the trail. Then the change, its revision and its
        row of audit are one transaction.
    :param review: whether a change needs a second person.
    """

    def __init__(
        self,
        *,
        definitions: Definitions,
        trail: AuditTrail,
        joined: bool,
        notices: FlagNotices | None,
        review: bool = False,
    ) -> None:
        self.review = review
        self._definitions = definitions
        self._trail = trail
        self._joined = joined
        self._notices = notices

    @asynccontextmanager
    async def making(self, event: Event, *, reviewed: bool = False) -> AsyncGenerator[None]:
        """Run the body as one audited change. This process evaluates by it at once, and the others are told.

        :param reviewed: whether it was approved, or need not be.
        :raises ReviewRequired: it had to be.
        """
        try:
            async with self._trail.change(event, joined=self._joined):
                if self.review and not reviewed:
                    raise ReviewRequired(mend=PROPOSE.format(room=event.action.partition(".")[0]))
                yield
        finally:  # also where the caller has gone, as what was begun may be done
            self._definitions.changed()
            if self._notices is not None:
                await self._notices.tell()

    @asynccontextmanager
    async def recording(self, event: Event) -> AsyncGenerator[None]:
        """Run the body as an audited step, which changes no definition by itself, or does so within :meth:`making`."""
        async with self._trail.change(event, joined=self._joined):
            yield


def note(event: Event, stored: Stored) -> None:
    """Let the row of audit say what was written."""
    event.detail["revision"] = str(stored.revision)
    event.detail["digest"] = stored.digest
