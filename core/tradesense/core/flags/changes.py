"""A change of a definition: written under audit, then told to every process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.flags.definitions import Definitions
from tradesense.core.flags.models import Stored
from tradesense.core.flags.notices import FlagNotices


class Changes:
    """What flags and segments have in common when they are changed.

    :param joined: whether the store's writes join the transactions of the trail. Then the change, its revision and its
        row of audit are one transaction.
    """

    def __init__(
        self, *, definitions: Definitions, trail: AuditTrail, joined: bool, notices: FlagNotices | None
    ) -> None:
        self._definitions = definitions
        self._trail = trail
        self._joined = joined
        self._notices = notices

    @asynccontextmanager
    async def making(self, event: Event) -> AsyncGenerator[None]:
        """Run the body as one audited change. This process evaluates by it at once, and the others are told."""
        try:
            async with self._trail.change(event, joined=self._joined):
                yield
        finally:  # also where the caller has gone, as what was begun may be done
            self._definitions.changed()
            if self._notices is not None:
                await self._notices.tell()


def note(event: Event, stored: Stored) -> None:
    """Let the row of audit say what was written."""
    event.detail["revision"] = str(stored.revision)
    event.detail["digest"] = stored.digest
