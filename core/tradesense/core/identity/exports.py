"""What a person may take along: all that is kept about them, in a form that other programs read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from tradesense.core.audit.models import AuditQuery, AuditRecord
from tradesense.core.audit.service import AuditTrail
from tradesense.core.identity.models import ApiKey, Session, User
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.paging import MAX_PAGE

MOST_EVENTS = MOST_SESSIONS = 10_000

T = TypeVar("T", bound=msgspec.Struct)


class ExportedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The account. Of the password there is a hash, which is of no use to its owner and stays here."""

    id: str
    email: str
    verified: bool
    name: str
    locale: str
    next_email: str
    """The address that the account is about to move to."""
    roles: tuple[str, ...]
    disabled: bool
    created_at: datetime


class ExportedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the account did, or that was done to it."""

    at: datetime
    action: str
    outcome: str
    own: bool
    """Whether the account did it."""
    address: str
    """The network address that it came from, where the account did it."""


class ExportedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A login that is kept. What carries it is known to its owner's device alone."""

    id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    methods: tuple[str, ...]
    address: str
    user_agent: str


class ExportedKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key. The key itself was shown once, and is kept by nobody."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The whole."""

    format: Literal["tradesense-account/1"] = "tradesense-account/1"
    exported_at: datetime
    account: ExportedAccount
    sessions: tuple[ExportedSession, ...]
    """By birth; those that have ended and were not swept yet are among them."""
    api_keys: tuple[ExportedKey, ...]
    events: tuple[ExportedEvent, ...]
    """The newest first."""


async def export(user: User, *, store: IdentityStore, trail: AuditTrail, now: datetime) -> Export:
    """Everything that is kept about the owner of ``user``: the account, sessions, API keys, the newest events.

    Of sessions there are the first :data:`MOST_SESSIONS`, of events the newest :data:`MOST_EVENTS`.

    :raises AuditUnavailable: the trail cannot be read.
    :raises AuditChainBroken: a record was changed; what is not ours is not told.
    """
    found: dict[int, AuditRecord] = {}
    for query in (AuditQuery(actor_id=user.id), AuditQuery(subject=user.id)):
        cursor: str | None = None
        count = 0
        while count < MOST_EVENTS:
            page = await trail.read(query, cursor=cursor, limit=MAX_PAGE, newest_first=True)
            found |= {record.seq: record for record in page.items}
            count += len(page.items)
            cursor = page.cursor
            if cursor is None:
                break
    events = [_event(found[seq], user) for seq in sorted(found, reverse=True)[:MOST_EVENTS]]
    return Export(
        exported_at=now,
        account=_account(user),
        sessions=tuple([_told(one, ExportedSession) async for one in _sessions(user, store)]),
        api_keys=tuple(_told(key, ExportedKey) for key in await store.api_keys.of_user(user.id)),
        events=tuple(events),
    )


def _told(kept: Session | ApiKey, kind: type[T]) -> T:
    """Those fields of what is kept that are told."""
    return kind(**{name: getattr(kept, name) for name in kind.__struct_fields__})


async def _sessions(user: User, store: IdentityStore) -> AsyncIterator[Session]:
    cursor: str | None = None
    for _ in range(MOST_SESSIONS // MAX_PAGE):
        page = await store.user_sessions.list(user.id, cursor=cursor, limit=MAX_PAGE)
        for session in page.items:
            yield session
        if (cursor := page.cursor) is None:
            return


def _account(user: User) -> ExportedAccount:
    return ExportedAccount(
        id=user.id,
        email=user.email,
        verified=user.verified,
        name=user.name,
        locale=user.locale,
        next_email=user.next_email,
        roles=user.roles,
        disabled=user.disabled,
        created_at=user.created_at,
    )


def _event(record: AuditRecord, user: User) -> ExportedEvent:
    """What is told of an event. Where somebody else did it, from where is theirs to tell."""
    own = record.entry.actor.id == user.id
    return ExportedEvent(
        at=record.at,
        action=record.entry.action,
        outcome=record.entry.outcome.value,
        own=own,
        address=record.entry.actor.address if own else "",
    )
