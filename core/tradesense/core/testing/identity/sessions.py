"""What is asked of sessions and of refresh tokens."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from tradesense.core.capabilities import Capability
from tradesense.core.identity.models import RefreshToken, Session
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.testing.base import Contract, Make, fresh, opened, requires, together
from tradesense.core.testing.identity.samples import NOW, a_session, a_token, with_session, with_token, with_user

LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
"""Sweeps happen here, so that they leave the sessions of other tests alone."""

SEED = b"\x00\xff" * 16

BEFORE_ALL = datetime(1980, 1, 1, tzinfo=UTC)


class SessionTests(Contract):
    """The sessions' part of the identity store's contract."""

    port = IdentityStore

    async def test_a_session_is_found_with_its_user(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user, session = await with_session(
                store, methods=("pwd", "otp"), address="2001:db8::1", user_agent="Ünï/1.0 🦄 " + "x" * 240
            )
            assert await store.sessions.find(session.token_hash) == (session, user)
            assert await store.sessions.find_by_id(session.id) == (session, user)

    async def test_a_session_is_found_with_its_user_of_today(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user, session = await with_session(store)
            changed = await store.users.update(replace(user, epoch=1, disabled=True))
            assert await store.sessions.find(session.token_hash) == (session, changed)
            assert await store.sessions.find_by_id(session.id) == (session, changed)

    async def test_an_expired_session_is_found_still(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user, session = await with_session(store, expires_at=NOW - timedelta(days=365))
            assert await store.sessions.find(session.token_hash) == (session, user)
            assert await store.sessions.find_by_id(session.id) == (session, user)

    async def test_an_unknown_session_is_none(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            _, session = await with_session(store)
            near = session.token_hash[:-1] + bytes([session.token_hash[-1] ^ 1])
            assert await store.sessions.find(near) is None
            assert await store.sessions.find(b"") is None
            assert await store.sessions.find_by_id(fresh()) is None

    async def test_a_touch_moves_last_seen_forward_only(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            _, session = await with_session(store)
            later = NOW + timedelta(minutes=5, microseconds=1)
            for at in (later, NOW + timedelta(minutes=1)):
                await store.sessions.touch(session.id, at)
                assert await _found(store, session) == replace(session, last_seen_at=later)

    async def test_of_concurrent_touches_the_latest_is_kept(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            _, session = await with_session(store)
            order = [5, 11, 2, 15, 9, 0, 14, 3]
            ends = await together(
                len(order), lambda n: store.sessions.touch(session.id, NOW + timedelta(seconds=order[n]))
            )
            assert ends == [None] * len(order)
            assert (await _found(store, session)).last_seen_at == NOW + timedelta(seconds=15)

    async def test_touching_an_unknown_session_is_a_no_op(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            unknown = fresh()
            await store.sessions.touch(unknown, NOW)
            assert await store.sessions.find_by_id(unknown) is None

    async def test_an_ended_session_is_gone_with_its_refresh_tokens(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            session, token = await with_token(store)
            _, other = await with_token(store)
            assert await store.sessions.end(session.id) is True
            assert await store.sessions.find(session.token_hash) is None
            assert await store.sessions.find_by_id(session.id) is None
            assert await store.refresh_tokens.spend(token.token_hash, NOW, SEED) is None
            assert await store.sessions.end(session.id) is False
            assert await store.refresh_tokens.spend(other.token_hash, NOW, SEED) == other

    async def test_of_concurrent_ends_one_removed_the_session(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            _, session = await with_session(store)
            ends = await together(16, lambda _: store.sessions.end(session.id))
            assert sorted(ends, key=str) == [False] * 15 + [True]

    async def test_a_sweep_removes_what_has_ended_or_is_idle(self, adapter: Make[IdentityStore]) -> None:
        day = timedelta(days=1)
        async with opened(adapter()) as store:
            user = await with_user(store)
            sessions = {
                name: a_session(user, last_seen_at=seen, expires_at=expires)
                for name, seen, expires in (
                    ("ended", LONG_AGO, LONG_AGO - day),
                    ("idle", LONG_AGO - 2 * day, NOW),
                    ("alive", LONG_AGO, LONG_AGO + day),
                )
            }
            token = a_token(sessions["ended"])
            for session in sessions.values():
                await store.sessions.add(session)
            await store.refresh_tokens.add(token)
            assert await _sweep(store, LONG_AGO, LONG_AGO - day) == 2
            left = [name for name, session in sessions.items() if await store.sessions.find_by_id(session.id)]
            assert left == ["alive"]
            assert await store.refresh_tokens.spend(token.token_hash, NOW, SEED) is None
            await store.sessions.end(sessions["alive"].id)

    async def test_a_sweep_stops_at_its_limit(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user = await with_user(store)
            sessions = [a_session(user, expires_at=LONG_AGO - timedelta(days=1)) for _ in range(5)]
            for session in sessions:
                await store.sessions.add(session)
            assert await store.sessions.sweep(LONG_AGO, BEFORE_ALL, limit=2) == 2
            left = [session for session in sessions if await store.sessions.find_by_id(session.id)]
            assert len(left) == 3
            assert await _sweep(store, LONG_AGO, BEFORE_ALL) == 3
            assert not any([await store.sessions.find_by_id(session.id) for session in sessions])

    @requires(Capability.SHARED)
    async def test_a_session_ended_in_one_store_is_gone_in_the_other(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            user, session = await with_session(one)
            assert await other.sessions.find(session.token_hash) == (session, user)
            assert await other.sessions.end(session.id) is True
            assert await one.sessions.find(session.token_hash) is None


class RefreshTokenTests(Contract):
    """The refresh tokens' part of the identity store's contract."""

    port = IdentityStore

    async def test_an_unknown_token_cannot_be_spent(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            assert await store.refresh_tokens.spend(secrets.token_bytes(32), NOW, SEED) is None

    async def test_a_token_is_spent_once_and_says_since_when(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            _, token = await with_token(store)
            assert await store.refresh_tokens.spend(token.token_hash, NOW, SEED) == token
            spent = replace(token, spent_at=NOW, seed=SEED)
            for later in (1, 2):
                again = await store.refresh_tokens.spend(
                    token.token_hash, NOW + timedelta(seconds=later), b"another seed"
                )
                assert again == spent, "a spent token tells the instant and the seed of the first spending"

    async def test_a_token_is_found_spent_or_not(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            session, token = await with_token(store, expires_at=NOW - timedelta(days=1))
            assert await store.refresh_tokens.find(secrets.token_bytes(32)) is None
            assert await store.refresh_tokens.find(token.token_hash) == token
            await store.refresh_tokens.spend(token.token_hash, NOW, SEED)
            assert await store.refresh_tokens.find(token.token_hash) == replace(token, spent_at=NOW, seed=SEED)
            await store.sessions.end(session.id)
            assert await store.refresh_tokens.find(token.token_hash) is None

    async def test_an_expired_token_is_the_callers_to_refuse(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            _, token = await with_token(store, expires_at=NOW - timedelta(days=1))
            assert await store.refresh_tokens.spend(token.token_hash, NOW, SEED) == token

    async def test_of_32_concurrent_spendings_one_wins(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            for _ in range(3):
                _, token = await with_token(store)
                _one_spent(await together(32, lambda n, t=token: _spend(store, t, n)), token)  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    @requires(Capability.SHARED)
    async def test_of_32_concurrent_spendings_in_two_stores_one_wins(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            _, token = await with_token(one)
            _one_spent(await together(32, lambda n: _spend((one, other)[n % 2], token, n)), token)


async def _found(store: IdentityStore, session: Session) -> Session:
    found = await store.sessions.find_by_id(session.id)
    assert found is not None
    return found[0]


async def _sweep(store: IdentityStore, expired_before: datetime, idle_since: datetime) -> int:
    removed = 0
    while batch := await store.sessions.sweep(expired_before, idle_since):
        removed += batch
    return removed


async def _spend(store: IdentityStore, token: RefreshToken, number: int) -> RefreshToken | None:
    return await store.refresh_tokens.spend(token.token_hash, NOW + timedelta(seconds=number), bytes([number]))


def _one_spent(ends: list[RefreshToken | BaseException | None], token: RefreshToken) -> None:
    assert ends.count(token) == 1, "exactly one spending wins"
    number = ends.index(token)
    told = replace(token, spent_at=NOW + timedelta(seconds=number), seed=bytes([number]))
    assert ends.count(told) == len(ends) - 1, "every other is told when the token was spent, and how"
