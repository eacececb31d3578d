"""Segments as the entrypoints use them: checked together with all that asks for them, and changed under audit."""

from __future__ import annotations

from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import Event
from tradesense.core.errors import InvalidFlag, SegmentConflict, SegmentNotFound
from tradesense.core.flags.changes import Changes, note
from tradesense.core.flags.checking import check_segment
from tradesense.core.flags.definitions import Definitions
from tradesense.core.flags.history import past
from tradesense.core.flags.keys import check_key
from tradesense.core.flags.models import Segment, StoredSegment
from tradesense.core.flags.stores import Stores
from tradesense.core.flags.toolkit import Toolkit
from tradesense.core.paging import MAX_PAGE, Page


class Segments:
    """The segments of one deployment. A change of one is a change of every flag that asks for it, at once."""

    def __init__(self, *, stores: Stores, definitions: Definitions, changes: Changes, toolkit: Toolkit) -> None:
        self._stores = stores
        self._definitions = definitions
        self._changes = changes
        self._toolkit = toolkit

    async def get(self, key: str) -> StoredSegment:
        """The segment.

        :raises SegmentNotFound: there is none.
        """
        return await self._stores.segments.get(check_key(key))

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[StoredSegment]:
        """A page of segments; ``limit`` is brought into 1 to 1000."""
        return await self._stores.segments.list(cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))

    async def put(
        self, segment: Segment, *, actor: Actor, expected: int | None = None, correlation_id: str = ""
    ) -> StoredSegment:
        """Write a new revision; this process evaluates by it at once.

        :param expected: the revision that must be current, 0 for none; any when left out.
        :raises InvalidFlag: it cannot be evaluated, or what asks for it could not be any more; the message names the
            path.
        :raises SegmentConflict: another revision is current.
        :raises InvalidInput: the provider is read-only.
        """
        return await self._put(segment, Event("segments.put", segment.key, actor, correlation_id), expected)

    async def delete(self, key: str, *, actor: Actor, expected: int | None = None, correlation_id: str = "") -> None:
        """Remove the segment; its history stays.

        :raises SegmentNotFound: there is none.
        :raises SegmentConflict: another revision is current, or a flag or another segment asks for it.
        :raises InvalidInput: the provider is read-only.
        """
        store = self._stores.for_segments()
        event = Event("segments.delete", check_key(key), actor, correlation_id)
        if users := (await self._definitions.latest()).graph().users_of_segment(key):
            raise SegmentConflict(f"{key!r} is used by {', '.join(users[:10])}", mend="change them first")
        async with self._changes.making(event):
            await store.delete(key, expected=expected, by=actor.id)

    async def history(self, key: str) -> tuple[StoredSegment, ...]:
        """Every revision, oldest first, removals included.

        :raises SegmentNotFound: there never was such a segment.
        :raises InvalidInput: the provider keeps no history.
        """
        found = tuple(await self._stores.for_segments().history(check_key(key)))
        if not found:
            raise SegmentNotFound(f"there never was a segment {key!r}")
        return found

    async def rollback(
        self, key: str, revision: int, *, actor: Actor, expected: int | None = None, correlation_id: str = ""
    ) -> StoredSegment:
        """Write an earlier revision as a new one.

        :raises SegmentNotFound: there never was such a segment.
        :raises InvalidFlag: there is no such revision, or it was a removal, or it could not be evaluated now.
        :raises SegmentConflict: another revision than ``expected`` is current.
        """
        before = past(await self.history(key), key, revision)
        event = Event("segments.rollback", key, actor, correlation_id, detail={"to": str(revision)})
        return await self._put(before.segment, event, expected)

    async def check(self, segment: Segment) -> None:
        """Refuse a segment that cannot be evaluated, or that what asks for it could not be evaluated with.

        :raises InvalidFlag: the message names the path of each fault.
        """
        check_segment(segment, self._toolkit)
        library = await self._definitions.latest()
        after = library.graph(segment=segment)
        after.check_segment(segment)
        if broken := after.broken_since(library.graph()):
            raise InvalidFlag(
                faults=[("groups", f"with it, {one} would go too deep or take too long") for one in broken]
            )

    async def _put(self, segment: Segment, event: Event, expected: int | None) -> StoredSegment:
        store = self._stores.for_segments()
        await self.check(segment)
        async with self._changes.making(event):
            stored = await store.put(segment, expected=expected, by=event.actor.id)
            note(event, stored)
        return stored
