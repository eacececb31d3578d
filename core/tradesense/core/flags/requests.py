"""Changes of definitions that wait: for a second person, for their time, or for both."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

from tradesense.core.audit.models import Actor
from tradesense.core.errors import ApprovalRefused, ChangeConflict
from tradesense.core.flags.models import Flag, Segment

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

PERSON = "user"
"""The kind of actor who is known by a login."""


class State(StrEnum):
    """How far a change has come."""

    PENDING = "pending"
    """A second person has to approve it."""
    SCHEDULED = "scheduled"
    """It is applied at its time."""
    APPLIED = "applied"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"
    """Its time had come, and it could not be applied: the definition had moved on, or could not be evaluated."""


OPEN = frozenset({State.PENDING, State.SCHEDULED})
"""Those of which something may still become."""


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """Who did a step."""

    kind: str
    """As of :class:`Actor`."""
    id: str = ""

    @classmethod
    def of(cls, actor: Actor) -> Party:
        """The actor, without where they were."""
        return cls(kind=actor.kind, id=actor.id)


class ChangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one definition. What it would write never changes; how far it has come does."""

    id: str
    kind: Literal["flag", "segment"]
    key: str
    base: int
    """The revision that it was made from, 0 for none. It is applied to this one alone."""
    flag: Flag | None = None
    """What is written; with ``segment`` absent as well, the definition is removed."""
    segment: Segment | None = None
    reason: str = ""
    not_before: datetime | None = None
    """When it is applied; as soon as it is approved, when left out."""
    state: State = State.PENDING
    proposed_by: Party
    proposed_at: datetime
    approved_by: Party | None = None
    ended_by: Party | None = None
    """Who applied, rejected or withdrew it."""
    ended_at: datetime | None = None
    note: str = ""
    """Why it was rejected, or could not be applied."""
    version: int = 1
    """Counts the steps; of two at once, one wins."""

    @property
    def definition(self) -> Flag | Segment | None:
        """What is written; ``None`` for a removal."""
        return self.flag or self.segment

    def check_open(self, *states: State) -> None:
        """Go on only in one of ``states``.

        :raises ChangeConflict: it is in another.
        """
        if self.state not in states:
            raise ChangeConflict(f"the change {self.id} is {self.state}", mend="propose another")

    def check_second(self, actor: Actor) -> None:
        """Go on only where ``actor`` is known by a login, and is not who proposed it.

        :raises ApprovalRefused: they are not.
        """
        if actor.kind != PERSON or not actor.id:
            raise ApprovalRefused(
                "the name of a user of the operating system does not prove a second person",
                mend="let somebody with the permission flags:approve do it over HTTP",
            )
        if Party.of(actor) == self.proposed_by:
            raise ApprovalRefused("who proposed a change does not approve it", mend="ask somebody else")

    def step(self, state: State, *, by: Actor, at: datetime, approved: bool = False, note: str = "") -> ChangeRequest:
        """The request one step further.

        :param approved: whether ``by`` approves with it.
        """
        party = Party.of(by)
        ended = state not in OPEN
        return msgspec.structs.replace(
            self,
            state=state,
            approved_by=party if approved else self.approved_by,
            ended_by=party if ended else None,
            ended_at=at if ended else None,
            note=note,
            version=self.version + 1,
        )


def check_id(request_id: str) -> str:
    """Return ``request_id`` when it can be one.

    :raises ValueError: it cannot.
    """
    if not _ID.fullmatch(request_id):
        raise ValueError("a change is named by a UUID")
    return request_id
