"""What is asked of one-time tokens."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from tradesense.core.capabilities import Capability
from tradesense.core.identity.models import ActionToken, Purpose
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.testing.base import Contract, Make, opened, requires, together
from tradesense.core.testing.identity.samples import NOW, an_action, with_action, with_user

LONG_AGO = datetime(1985, 1, 1, tzinfo=NOW.tzinfo)
"""Sweeps of the tests reach no further than this."""


class ActionTokenTests(Contract):
    """The one-time tokens' part of the identity store's contract."""

    port = IdentityStore

    async def test_a_one_time_token_comes_back_as_it_was_added(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            for purpose in Purpose:
                _, token = await with_action(store, purpose=purpose)
                for _ in range(2):
                    assert await store.actions.find(purpose, token.token_hash) == token
                assert await store.actions.take(purpose, token.token_hash) == token

    async def test_a_one_time_token_is_taken_once(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            _, token = await with_action(store)
            assert await store.actions.take(token.purpose, token.token_hash) == token
            assert await store.actions.take(token.purpose, token.token_hash) is None
            assert await store.actions.find(token.purpose, token.token_hash) is None

    async def test_an_unknown_one_time_token_is_absent(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            for purpose in Purpose:
                assert await store.actions.find(purpose, secrets.token_bytes(32)) is None
                assert await store.actions.take(purpose, secrets.token_bytes(32)) is None

    async def test_a_one_time_token_is_good_for_its_own_purpose_alone(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            for purpose in Purpose:
                _, token = await with_action(store, purpose=purpose)
                for other in set(Purpose) - {purpose}:
                    assert await store.actions.find(other, token.token_hash) is None
                    assert await store.actions.take(other, token.token_hash) is None
                assert await store.actions.take(purpose, token.token_hash) == token, "another purpose has spent it"

    async def test_an_expired_one_time_token_is_the_callers_to_refuse(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            _, token = await with_action(store, expires_at=NOW - timedelta(days=1))
            assert await store.actions.take(token.purpose, token.token_hash) == token

    async def test_several_one_time_tokens_of_one_account_stand_side_by_side(
        self, adapter: Make[IdentityStore]
    ) -> None:
        async with opened(adapter()) as store:
            user, first = await with_action(store)
            second = an_action(user)
            await store.actions.add(second)
            assert await store.actions.take(second.purpose, second.token_hash) == second
            assert await store.actions.take(first.purpose, first.token_hash) == first

    async def test_the_one_time_tokens_of_an_account_are_dropped_together(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            _, others = await with_action(store)
            user = await with_user(store)
            tokens = [an_action(user, purpose=purpose) for purpose in Purpose]
            for token in tokens:
                await store.actions.add(token)
            assert await store.actions.drop(user.id) == len(tokens)
            assert not any([await store.actions.find(token.purpose, token.token_hash) for token in tokens])
            assert await store.actions.find(others.purpose, others.token_hash) == others
            assert await store.actions.drop(user.id) == 0

    async def test_expired_one_time_tokens_are_swept_up_to_a_limit(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user, kept = await with_action(store, expires_at=LONG_AGO)
            tokens = [an_action(user, expires_at=LONG_AGO - timedelta(days=1)) for _ in range(5)]
            for token in tokens:
                await store.actions.add(token)
            assert await store.actions.sweep(LONG_AGO, limit=2) == 2
            assert await store.actions.sweep(LONG_AGO) == 3
            assert await store.actions.sweep(LONG_AGO) == 0
            assert await store.actions.take(kept.purpose, kept.token_hash) == kept

    async def test_of_32_concurrent_takings_one_wins(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            for _ in range(3):
                _, token = await with_action(store)
                _one_took(await together(32, lambda _, t=token: store.actions.take(t.purpose, t.token_hash)), token)  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    @requires(Capability.SHARED)
    async def test_of_32_concurrent_takings_in_two_stores_one_wins(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            _, token = await with_action(one)
            takings = await together(32, lambda n: (one, other)[n % 2].actions.take(token.purpose, token.token_hash))
            _one_took(takings, token)


def _one_took(ends: list[ActionToken | BaseException | None], token: ActionToken) -> None:
    assert ends.count(token) == 1, "exactly one call gets the token"
    assert ends.count(None) == len(ends) - 1, "every other gets nothing"
