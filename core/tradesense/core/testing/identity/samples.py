"""Accounts, sessions and tokens to test with. Each has names of its own."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tradesense.core.identity.models import ActionToken, ApiKey, Purpose, RefreshToken, Session, User
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import fresh

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
"""The present of the tests, precise to the microsecond as everything that a store keeps."""


def a_user(**fields: Any) -> User:
    """An account that nobody has."""
    name = fresh("u")
    defaults: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "email": f"{name}@example.org",
        "email_key": f"{name}@example.org",
        "password_hash": Secret("$argon2id$v=19$m=47104,t=1,p=1$c2FsdHNhbHQ$aGFzaA"),
        "created_at": NOW,
    }
    return User(**(defaults | fields))


def a_session(user: User, **fields: Any) -> Session:
    """A session of ``user`` that lasts a day from :data:`NOW`."""
    defaults: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "token_hash": secrets.token_bytes(32),
        "user_id": user.id,
        "user_epoch": user.epoch,
        "created_at": NOW,
        "last_seen_at": NOW,
        "expires_at": NOW + timedelta(days=1),
    }
    return Session(**(defaults | fields))


def a_token(session: Session, **fields: Any) -> RefreshToken:
    """An unspent refresh token of ``session``."""
    defaults: dict[str, Any] = {
        "token_hash": secrets.token_bytes(32),
        "session_id": session.id,
        "expires_at": NOW + timedelta(hours=1),
    }
    return RefreshToken(**(defaults | fields))


def an_action(user: User, **fields: Any) -> ActionToken:
    """A one-time token of ``user`` that lasts an hour from :data:`NOW`."""
    defaults: dict[str, Any] = {
        "token_hash": secrets.token_bytes(32),
        "purpose": Purpose.RESET_PASSWORD,
        "user_id": user.id,
        "state": secrets.token_bytes(32),
        "created_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
    }
    return ActionToken(**(defaults | fields))


def a_key(user: User, **fields: Any) -> ApiKey:
    """An API key of ``user`` that lasts a day from :data:`NOW`."""
    defaults: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "key_hash": secrets.token_bytes(32),
        "prefix": "tsk_abcdefgh",
        "user_id": user.id,
        "name": fresh("key"),
        "scopes": ("flags:evaluate", "secrets:read:team-a/*"),
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=1),
    }
    return ApiKey(**(defaults | fields))


async def with_user(store: IdentityStore, **fields: Any) -> User:
    """An account that ``store`` keeps."""
    user = a_user(**fields)
    await store.users.add(user)
    return user


async def with_session(store: IdentityStore, **fields: Any) -> tuple[User, Session]:
    """A session that ``store`` keeps, and whose it is."""
    user = await with_user(store)
    session = a_session(user, **fields)
    await store.sessions.add(session)
    return user, session


async def with_token(store: IdentityStore, **fields: Any) -> tuple[Session, RefreshToken]:
    """A refresh token that ``store`` keeps, and of which session it is."""
    _, session = await with_session(store)
    token = a_token(session, **fields)
    await store.refresh_tokens.add(token)
    return session, token


async def with_action(store: IdentityStore, **fields: Any) -> tuple[User, ActionToken]:
    """A one-time token that ``store`` keeps, and whose it is."""
    user = await with_user(store)
    token = an_action(user, **fields)
    await store.actions.add(token)
    return user, token
