"""Changes that wait: proposed by one person, approved by another, applied at once or at their time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock, Ids
from tradesense.core.audit.models import WORKER, Actor
from tradesense.core.audit.service import Event
from tradesense.core.errors import ChangeConflict, Conflict, InvalidFlag, InvalidInput, NotFound, ReviewRequired
from tradesense.core.flags.administration import Administration
from tradesense.core.flags.changes import Changes
from tradesense.core.flags.keys import MAX_DESCRIPTION
from tradesense.core.flags.kinds import digest_of
from tradesense.core.flags.models import Flag, Segment
from tradesense.core.flags.ports import ChangeStore
from tradesense.core.flags.requests import ChangeRequest, Party, State
from tradesense.core.flags.stores import Stores
from tradesense.core.paging import MAX_PAGE, Page

MOST_OPEN = MAX_PAGE
"""Changes that may wait for approval at once."""
MOST_AT_ONCE = 100
"""Scheduled changes that one turn of the worker applies."""

KindName = Literal["flag", "segment"]


class Review:
    """The change requests of one deployment. Every step is one transaction with its row of audit."""

    def __init__(
        self,
        *,
        rooms: Mapping[KindName, Administration[Any, Any]],
        stores: Stores,
        changes: Changes,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._rooms = rooms
        self._stores = stores
        self._changes = changes
        self._clock = clock
        self._ids = ids

    @property
    def kept(self) -> bool:
        """Whether the provider keeps changes that wait."""
        return self._stores.requests is not None

    async def get(self, request_id: str) -> ChangeRequest:
        """The request.

        :raises ChangeNotFound: there is none.
        """
        return await self._store().get(request_id)

    async def list(
        self, *, state: State | None = None, cursor: str | None = None, limit: int = 100
    ) -> Page[ChangeRequest]:
        """A page of requests, oldest first, of one ``state`` or of all; ``limit`` is brought into 1 to 1000."""
        return await self._store().list(state=state, cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))

    async def propose(
        self,
        kind: KindName,
        key: str,
        definition: Flag | Segment | None,
        *,
        actor: Actor,
        expected: int | None = None,
        reason: str = "",
        not_before: datetime | None = None,
        correlation_id: str = "",
    ) -> ChangeRequest:
        """Let a change wait: for approval, or, where none is asked for and it has a time, for that alone.

        :param definition: of the ``key``; ``None`` to remove it.
        :param expected: the revision that it was made from; the current one when left out.
        :param not_before: UTC, where it has no offset.
        :raises InvalidFlag: the definition could not be evaluated now.
        :raises FlagNotFound: there is none to remove; of segments, :class:`SegmentNotFound`.
        :raises FlagConflict: another revision than ``expected`` is current, or what would be removed is in use; of
            segments, a :class:`SegmentConflict`.
        :raises InvalidInput: the reason is too long, 1,000 changes wait already, or the provider keeps none.
        """
        store, room = self._store(), self._rooms[kind]
        if len(reason) > MAX_DESCRIPTION:
            raise InvalidFlag(faults=[("reason", f"at most {MAX_DESCRIPTION} characters")])
        base = await room.revision(key)
        room.kind.expect(key, base, expected)
        await room.check_change(key, definition)
        if (await store.list(state=State.PENDING, limit=MOST_OPEN)).cursor is not None:
            raise InvalidInput(f"{MOST_OPEN} changes wait for approval", mend="approve, reject or withdraw some")
        if not_before is not None and not_before.tzinfo is None:
            not_before = not_before.replace(tzinfo=UTC)
        request = ChangeRequest(
            id=self._ids.new(),
            kind=kind,
            key=key,
            base=base,
            flag=definition if isinstance(definition, Flag) else None,
            segment=definition if isinstance(definition, Segment) else None,
            reason=reason,
            not_before=not_before,
            state=State.SCHEDULED if not_before is not None and not self._changes.review else State.PENDING,
            proposed_by=Party.of(actor),
            proposed_at=self._clock.now(),
        )
        async with self._changes.recording(self._event("propose", request, actor, correlation_id)):
            await store.add(request)
        return request

    async def approve(self, request_id: str, *, actor: Actor, correlation_id: str = "") -> ChangeRequest:
        """Approve a change of somebody else's: it is applied at once, or scheduled where its time is to come.

        :raises ChangeNotFound: there is none.
        :raises ChangeConflict: it does not wait for approval any more.
        :raises ApprovalRefused: the actor proposed it, or is not known by a login.
        :raises InvalidFlag: it could not be evaluated any more.
        :raises FlagConflict: the definition has moved on; of segments, a :class:`SegmentConflict`. The request stays.
        """
        request = await self.get(request_id)
        event = self._event("approve", request, actor, correlation_id)
        later = request.not_before is not None and request.not_before > self._clock.now()
        if request.state is State.PENDING:
            await self._rooms[request.kind].check_change(request.key, request.definition)
        async with self._changes.recording(event):
            request.check_second(actor)
            request.check_open(State.PENDING)
            if later:
                return await self._step(request, State.SCHEDULED, actor, approved=True)
            return await self._apply(request, actor, correlation_id, approved=True)

    async def reject(self, request_id: str, *, actor: Actor, note: str = "", correlation_id: str = "") -> ChangeRequest:
        """Let nothing become of a change that is not applied yet.

        :raises ChangeNotFound: there is none.
        :raises ChangeConflict: it is applied, or has ended otherwise.
        :raises InvalidFlag: the note is too long.
        """
        if len(note) > MAX_DESCRIPTION:
            raise InvalidFlag(faults=[("note", f"at most {MAX_DESCRIPTION} characters")])
        return await self._end(request_id, State.REJECTED, actor, correlation_id, note)

    async def withdraw(self, request_id: str, *, actor: Actor, correlation_id: str = "") -> ChangeRequest:
        """Take a change back that is not applied yet, also one that is scheduled.

        :raises ChangeNotFound: there is none.
        :raises ChangeConflict: it is applied, or has ended otherwise.
        """
        return await self._end(request_id, State.WITHDRAWN, actor, correlation_id)

    @as_system("flags.put", "flags.delete", "flags.fail", "segments.put", "segments.delete", "segments.fail")
    async def run(self) -> dict[str, int]:
        """Apply the scheduled changes whose time has come, each once, whichever process is quicker."""
        told = {"applied": 0, "failed": 0}
        if self._stores.requests is None:
            return told
        for request in await self._stores.requests.due(self._clock.now(), limit=MOST_AT_ONCE):
            try:
                await self._check_due(request)
                await self._apply(request, WORKER)
            except ChangeConflict:
                continue  # another process has applied it, or somebody has taken it back
            except (Conflict, InvalidInput, NotFound, ReviewRequired) as error:
                told["failed"] += await self._fail(request, error.detail)
            else:
                told["applied"] += 1
        return told

    async def _check_due(self, request: ChangeRequest) -> None:
        if self._changes.review and request.approved_by is None:
            raise ReviewRequired("it was scheduled when changes needed no approval, and they do now")
        await self._rooms[request.kind].check_change(request.key, request.definition)

    async def _apply(
        self, request: ChangeRequest, actor: Actor, correlation_id: str = "", *, approved: bool = False
    ) -> ChangeRequest:
        """Take the last step and change the definition, both or, where either is refused, neither."""
        applied = request.step(State.APPLIED, by=actor, at=self._clock.now(), approved=approved)
        event = self._event("put" if request.definition is not None else "delete", applied, actor, correlation_id)
        async with self._changes.making(event, reviewed=True):
            await self._store().replace(applied)
            await self._rooms[request.kind].enact(
                request.key, request.definition, event=event, expected=request.base, by=request.proposed_by.id
            )
        return applied

    async def _fail(self, request: ChangeRequest, why: str) -> int:
        try:
            async with self._changes.recording(self._event("fail", request, WORKER, "")):
                await self._step(request, State.FAILED, WORKER, note=why)
        except ChangeConflict:
            return 0
        return 1

    async def _end(
        self, request_id: str, state: State, actor: Actor, correlation_id: str, note: str = ""
    ) -> ChangeRequest:
        verb = "reject" if state is State.REJECTED else "withdraw"
        request = await self.get(request_id)
        async with self._changes.recording(self._event(verb, request, actor, correlation_id)):
            request.check_open(State.PENDING, State.SCHEDULED)
            return await self._step(request, state, actor, note=note)

    async def _step(
        self, request: ChangeRequest, state: State, actor: Actor, *, approved: bool = False, note: str = ""
    ) -> ChangeRequest:
        following = request.step(state, by=actor, at=self._clock.now(), approved=approved, note=note)
        await self._store().replace(following)
        return following

    def _event(self, verb: str, request: ChangeRequest, actor: Actor, correlation_id: str) -> Event:
        """Says what is changed, and who had which part in it."""
        detail = {"change": request.id, "base": str(request.base), "proposed_by": request.proposed_by.id}
        if request.approved_by is not None:
            detail["approved_by"] = request.approved_by.id
        if request.not_before is not None:
            detail["not_before"] = request.not_before.isoformat()
        if request.definition is not None:
            detail["digest"] = digest_of(request.definition)
        return Event(f"{request.kind}s.{verb}", request.key, actor, correlation_id, detail=detail)

    def _store(self) -> ChangeStore:
        if self._stores.requests is None:
            raise InvalidInput(
                "the provider of flags keeps no changes that wait", origin="flags.provider", mend="use sql or memory"
            )
        return self._stores.requests
