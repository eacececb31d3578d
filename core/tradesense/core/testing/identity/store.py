"""The identity store's contract."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import AdapterClosed, DatabaseUnavailable, UserNotFound
from tradesense.core.identity.models import Purpose
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.identity.rules import Role
from tradesense.core.testing.base import Joined, Make, fresh, joined, opened, requires
from tradesense.core.testing.checks import Calls, interrupt, refuse_when_unreachable, rolled_back
from tradesense.core.testing.identity.actions import ActionTokenTests
from tradesense.core.testing.identity.grants import ApiKeyTests, RoleTests, UserSessionTests
from tradesense.core.testing.identity.samples import (
    NOW,
    a_key,
    a_session,
    a_token,
    a_user,
    an_action,
    with_action,
    with_session,
    with_token,
    with_user,
)
from tradesense.core.testing.identity.sessions import RefreshTokenTests, SessionTests
from tradesense.core.testing.identity.users import UserTests

CALLS: Calls = {
    "users.add": lambda store: store.users.add(a_user()),
    "users.get": lambda store: store.users.get("x"),
    "users.by_email": lambda store: store.users.by_email("x"),
    "users.update": lambda store: store.users.update(a_user()),
    "users.list": lambda store: store.users.list(),
    "users.remove": lambda store: store.users.remove("x"),
    "sessions.add": lambda store: store.sessions.add(a_session(a_user())),
    "sessions.find": lambda store: store.sessions.find(bytes(32)),
    "sessions.find_by_id": lambda store: store.sessions.find_by_id("x"),
    "sessions.touch": lambda store: store.sessions.touch("x", NOW),
    "sessions.end": lambda store: store.sessions.end("x"),
    "sessions.sweep": lambda store: store.sessions.sweep(NOW, NOW),
    "refresh_tokens.add": lambda store: store.refresh_tokens.add(a_token(a_session(a_user()))),
    "actions.add": lambda store: store.actions.add(an_action(a_user())),
    "actions.find": lambda store: store.actions.find(Purpose.VERIFY_EMAIL, bytes(32)),
    "actions.take": lambda store: store.actions.take(Purpose.VERIFY_EMAIL, bytes(32)),
    "actions.drop": lambda store: store.actions.drop("x"),
    "actions.sweep": lambda store: store.actions.sweep(NOW),
    "refresh_tokens.find": lambda store: store.refresh_tokens.find(bytes(32)),
    "user_sessions.list": lambda store: store.user_sessions.list("x"),
    "user_sessions.end": lambda store: store.user_sessions.end("x"),
    "api_keys.add": lambda store: store.api_keys.add(a_key(a_user())),
    "api_keys.find": lambda store: store.api_keys.find(bytes(32)),
    "api_keys.of_user": lambda store: store.api_keys.of_user("x"),
    "api_keys.touch": lambda store: store.api_keys.touch("x", NOW),
    "api_keys.remove": lambda store: store.api_keys.remove("x", "x"),
    "roles.all": lambda store: store.roles.all(),
    "roles.put": lambda store: store.roles.put(Role(name=fresh("r")), NOW),
    "refresh_tokens.spend": lambda store: store.refresh_tokens.spend(bytes(32), NOW, bytes(32)),
}


class IdentityStoreContract(
    UserTests, SessionTests, RefreshTokenTests, ActionTokenTests, UserSessionTests, ApiKeyTests, RoleTests
):
    """What every :class:`IdentityStore` must do.

    Names are unique to each test. Sweeps reach what ended before 1990 and no others, so a backend may be
    shared by tests that follow each other.
    """

    port = IdentityStore

    @pytest.fixture
    def unreachable(self) -> Make[IdentityStore] | None:
        """Override this where the backend can be away: a callable that makes an adapter of one that does not answer."""
        return None

    @pytest.mark.parametrize("call", list(CALLS))
    async def test_a_closed_store_refuses(self, adapter: Make[IdentityStore], call: str) -> None:
        store = adapter()
        with pytest.raises(AdapterClosed):
            await CALLS[call](store)
        async with opened(store):
            pass
        with pytest.raises(AdapterClosed):
            await CALLS[call](store)

    async def test_an_unreachable_store_is_unavailable_and_nobody_is_absent(
        self, unreachable: Make[Any] | None
    ) -> None:
        await refuse_when_unreachable(unreachable, DatabaseUnavailable, CALLS)

    async def test_cancelled_calls_leave_the_store_usable(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user, session = await with_session(store)
            await interrupt(lambda: store.sessions.find(session.token_hash))
            await interrupt(lambda: store.sessions.touch(session.id, session.last_seen_at))
            async with asyncio.timeout(self.patience):
                found = await asyncio.gather(*(store.sessions.find(session.token_hash) for _ in range(24)))
            assert found == [(session, user)] * 24

    @requires(Capability.TRANSACTIONAL)
    async def test_a_rolled_back_transaction_changes_nothing(
        self, adapter: Make[IdentityStore], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            session, token = await with_token(store)
            leaver, action = await with_action(store)
            newcomer = a_user()
            key = a_key(await with_user(store))
            async with rolled_back(unit):
                await store.users.add(newcomer)
                assert await store.users.get(newcomer.id) == newcomer, "a transaction sees what it wrote"
                await store.refresh_tokens.spend(token.token_hash, NOW, bytes(32))
                await store.sessions.end(session.id)
                assert await store.actions.take(action.purpose, action.token_hash) == action
                assert await store.users.remove(leaver.id) is True
                await store.api_keys.add(key)
                await store.roles.put(Role(name=key.name), NOW)
            with pytest.raises(UserNotFound):
                await store.users.get(newcomer.id)
            assert await store.users.by_email(newcomer.email_key) is None
            assert await store.sessions.find_by_id(session.id) is not None
            assert await store.api_keys.find(key.key_hash) is None
            assert key.name not in {stored.role.name for stored in await store.roles.all()}
            assert await store.refresh_tokens.spend(token.token_hash, NOW, bytes(32)) == token, (
                "the spending was not rolled back"
            )
            assert await store.users.get(leaver.id) == leaver, "the removal was not rolled back"
            taken = await store.actions.take(action.purpose, action.token_hash)
            assert taken == action, "the taking was not rolled back"

    @requires(Capability.TRANSACTIONAL)
    async def test_a_committed_transaction_changes_everything(
        self, adapter: Make[IdentityStore], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            newcomer = a_user()
            session = a_session(newcomer)
            async with unit.begin():
                await store.users.add(newcomer)
                await store.sessions.add(session)
            assert await store.sessions.find(session.token_hash) == (session, newcomer)
