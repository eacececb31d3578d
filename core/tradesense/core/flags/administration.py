"""What administrators do with definitions of one kind, flags or segments: each change checked and under audit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import Event
from tradesense.core.errors import InvalidFlag, NotFound
from tradesense.core.flags.changes import Changes, note
from tradesense.core.flags.definitions import Definitions
from tradesense.core.flags.history import past
from tradesense.core.flags.keys import check_key
from tradesense.core.flags.kinds import Kind
from tradesense.core.flags.models import Flag, Segment, Stored
from tradesense.core.flags.stores import Stores
from tradesense.core.flags.toolkit import Toolkit
from tradesense.core.paging import MAX_PAGE, Page

D = TypeVar("D", bound=Flag | Segment)
S = TypeVar("S", bound=Stored)


class Administration(ABC, Generic[D, S]):
    """Definitions of one kind as they are read and changed. Errors are those of the kind, see :class:`Kind`."""

    def __init__(
        self, *, kind: Kind[D, S], stores: Stores, definitions: Definitions, changes: Changes, toolkit: Toolkit
    ) -> None:
        self.kind = kind
        self._stores = stores
        self._definitions = definitions
        self._changes = changes
        self._toolkit = toolkit

    async def get(self, key: str) -> S:
        """The definition in force.

        :raises FlagNotFound: there is none; of segments, :class:`SegmentNotFound`.
        """
        return await self._stores.read(self.kind).get(check_key(key))

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[S]:
        """A page of definitions by key; ``limit`` is brought into 1 to 1000."""
        return await self._stores.read(self.kind).list(cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))

    async def put(self, definition: D, *, actor: Actor, expected: int | None = None, correlation_id: str = "") -> S:
        """Write a new revision; this process evaluates by it at once.

        :param expected: the revision that must be current, 0 for none; any when left out.
        :raises InvalidFlag: it cannot be evaluated, or what asks for it could not be any more; the message names the
            path.
        :raises FlagConflict: another revision is current; of segments, a :class:`SegmentConflict`.
        :raises InvalidInput: the provider is read-only.
        """
        return await self._put(definition, self._event("put", definition.key, actor, correlation_id), expected)

    async def delete(self, key: str, *, actor: Actor, expected: int | None = None, correlation_id: str = "") -> None:
        """Remove the definition; its history stays.

        :raises FlagNotFound: there is none; of segments, :class:`SegmentNotFound`.
        :raises FlagConflict: another revision is current, or others refer to it; of segments, a
            :class:`SegmentConflict`.
        :raises InvalidInput: the provider is read-only.
        """
        store = self._stores.written(self.kind)
        event = self._event("delete", check_key(key), actor, correlation_id)
        await self.check_unused(key)
        async with self._changes.making(event):
            await store.delete(key, expected=expected, by=actor.id)

    async def history(self, key: str) -> tuple[S, ...]:
        """Every revision, oldest first, removals included.

        :raises FlagNotFound: there never was one; of segments, :class:`SegmentNotFound`.
        :raises InvalidInput: the provider keeps no history.
        """
        found = tuple(await self._stores.written(self.kind).history(check_key(key)))
        if not found:
            raise self.kind.absent(f"there never was a {self.kind.name} {key!r}")
        return found

    async def rollback(
        self, key: str, revision: int, *, actor: Actor, expected: int | None = None, correlation_id: str = ""
    ) -> S:
        """Write an earlier revision as a new one.

        :raises FlagNotFound: there never was one; of segments, :class:`SegmentNotFound`.
        :raises InvalidFlag: there is no such revision, or it was a removal, or it could not be evaluated now.
        :raises FlagConflict: another revision than ``expected`` is current; of segments, a :class:`SegmentConflict`.
        """
        before = await self.past(key, revision)
        event = self._event("rollback", key, actor, correlation_id)
        event.detail["to"] = str(revision)
        return await self._put(before, event, expected)

    async def past(self, key: str, revision: int) -> D:
        """The definition at an earlier revision.

        :raises FlagNotFound: there never was one; of segments, :class:`SegmentNotFound`.
        :raises InvalidFlag: there is no such revision, or it was a removal.
        """
        return self.kind.of(past(await self.history(key), key, revision))

    async def revision(self, key: str) -> int:
        """The revision in force; 0 where there is none."""
        try:
            return (await self.get(key)).revision
        except NotFound:
            return 0

    async def check_change(self, key: str, definition: D | None) -> None:
        """Refuse to write ``definition``, or to remove what is there, where that would be refused now.

        :raises InvalidFlag: it cannot be evaluated, or is of another key.
        :raises FlagNotFound: there is none to remove; of segments, :class:`SegmentNotFound`.
        :raises FlagConflict: what would be removed is in use; of segments, a :class:`SegmentConflict`.
        """
        if definition is None:
            await self.get(key)
            await self.check_unused(key)
        elif definition.key != key:
            raise InvalidFlag(f"the definition is of {definition.key!r}, not of {key!r}")
        else:
            await self.check(definition)

    async def enact(self, key: str, definition: D | None, *, event: Event, expected: int, by: str) -> None:
        """Write or remove what was checked before, in the change that ``event`` is of.

        :raises FlagConflict: another revision than ``expected`` is current; of segments, a :class:`SegmentConflict`.
        """
        store = self._stores.written(self.kind)
        if definition is None:
            await store.delete(key, expected=expected, by=by)
        else:
            note(event, await store.put(definition, expected=expected, by=by))

    @abstractmethod
    async def check(self, definition: D, /) -> None:
        """Refuse a definition that cannot be evaluated, alone or together with those that it is connected with.

        :raises InvalidFlag: the message names the path of each fault.
        """

    async def check_unused(self, key: str) -> None:
        """Go on only where nothing refers to the definition.

        :raises FlagConflict: something does; of segments, a :class:`SegmentConflict`.
        """
        if users := (await self._definitions.latest()).graph().users_of(self.kind.name, key):
            raise self.kind.conflict(f"{key!r} is needed by {', '.join(users[:10])}", mend="change them first")

    async def _put(self, definition: D, event: Event, expected: int | None) -> S:
        store = self._stores.written(self.kind)
        await self.check(definition)
        async with self._changes.making(event):
            stored = await store.put(definition, expected=expected, by=event.actor.id)
            note(event, stored)
        return stored

    def _event(self, verb: str, key: str, actor: Actor, correlation_id: str) -> Event:
        return Event(f"{self.kind.name}s.{verb}", key, actor, correlation_id)
