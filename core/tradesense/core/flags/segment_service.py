"""Segments as the entrypoints use them: checked together with all that asks for them, and changed under audit."""

from __future__ import annotations

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.administration import Administration
from tradesense.core.flags.changes import Changes
from tradesense.core.flags.checking import check_segment
from tradesense.core.flags.definitions import Definitions
from tradesense.core.flags.kinds import SEGMENT
from tradesense.core.flags.models import Segment, StoredSegment
from tradesense.core.flags.stores import Stores
from tradesense.core.flags.toolkit import Toolkit


class Segments(Administration[Segment, StoredSegment]):
    """The segments of one deployment. A change of one is a change of every flag that asks for it, at once."""

    def __init__(self, *, stores: Stores, definitions: Definitions, changes: Changes, toolkit: Toolkit) -> None:
        super().__init__(kind=SEGMENT, stores=stores, definitions=definitions, changes=changes, toolkit=toolkit)

    async def check(self, definition: Segment, /) -> None:
        """Refuse a segment that cannot be evaluated, or that what asks for it could not be evaluated with.

        :raises InvalidFlag: the message names the path of each fault.
        """
        check_segment(definition, self._toolkit)
        library = await self._definitions.latest()
        after = library.graph(segment=definition)
        after.check_segment(definition)
        if broken := after.broken_since(library.graph()):
            raise InvalidFlag(
                faults=[("groups", f"with it, {one} would go too deep or take too long") for one in broken]
            )
