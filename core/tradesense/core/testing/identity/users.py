"""What is asked of accounts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tradesense.core.capabilities import Capability
from tradesense.core.errors import Conflict, EmailTaken, UserNotFound
from tradesense.core.identity.models import User
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import Contract, Make, every, fresh, opened, requires, together
from tradesense.core.testing.identity.samples import NOW, a_key, a_user, an_action, with_action, with_token, with_user


class UserTests(Contract):
    """The accounts' part of the identity store's contract."""

    port = IdentityStore

    async def test_an_account_comes_back_as_it_was_added(self, adapter: Make[IdentityStore]) -> None:
        user = a_user(roles=("admin", "user"), disabled=True, epoch=7, password_hash=Secret("$x$" + "h" * 1024))
        user = replace(user, verified=True, name="Ada 🦄", locale="pt-BR", next_email="a@b", next_email_proved="old")
        async with opened(adapter()) as store:
            await store.users.add(user)
            assert await store.users.get(user.id) == user
            assert await store.users.by_email(user.email_key) == user

    async def test_an_account_keeps_any_unicode(self, adapter: Make[IdentityStore]) -> None:
        key = f"{fresh()}-ß-ﬁ-日本語-🦄-e\u0301@example.org"
        user = a_user(email=key, email_key=key, roles=("rôle-🦄",))
        async with opened(adapter()) as store:
            await store.users.add(user)
            assert await store.users.by_email(key) == user

    async def test_two_email_keys_that_differ_in_anything_are_two_accounts(self, adapter: Make[IdentityStore]) -> None:
        name = fresh()
        keys = [
            f"{name}@example.org",
            f"{name.upper()}@example.org",
            f"{name}@example.org ",
            f"{name}é@e",
            f"{name}e@e",
        ]
        async with opened(adapter()) as store:
            users = [await with_user(store, email_key=key) for key in keys]
            assert [await store.users.by_email(key) for key in keys] == users

    async def test_an_absent_account_is_not_found(self, adapter: Make[IdentityStore]) -> None:
        user = a_user()
        async with opened(adapter()) as store:
            assert await store.users.by_email(user.email_key) is None
            with pytest.raises(UserNotFound):
                await store.users.get(user.id)
            with pytest.raises(UserNotFound):
                await store.users.update(user)
            assert await store.users.by_email(user.email_key) is None, "a refused update wrote the account"

    async def test_an_email_key_is_one_accounts_only(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            first = await with_user(store)
            second = a_user(email_key=first.email_key)
            with pytest.raises(EmailTaken):
                await store.users.add(second)
            assert await store.users.by_email(first.email_key) == first
            with pytest.raises(UserNotFound):
                await store.users.get(second.id)

    async def test_of_concurrent_accounts_with_one_email_key_one_is_kept(self, adapter: Make[IdentityStore]) -> None:
        rivals = [a_user(email_key="") for _ in range(16)]
        key = rivals[0].email
        async with opened(adapter()) as store:
            ends = await together(16, lambda n: store.users.add(replace(rivals[n], email_key=key)))
            _one_won(ends, EmailTaken)
            kept = await store.users.by_email(key)
            assert kept is not None
            assert kept.id == rivals[ends.index(None)].id

    async def test_an_update_returns_and_keeps_the_next_version(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user = await with_user(store)
            changed = replace(user, disabled=True, epoch=1, roles=("user", "auditor"), password_hash=Secret("$new"))
            answer = await store.users.update(changed)
            assert answer == replace(changed, version=2)
            assert await store.users.get(user.id) == answer
            assert (await store.users.update(answer)).version == 3

    async def test_an_update_from_another_version_writes_nothing(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user = await with_user(store)
            current = await store.users.update(replace(user, epoch=1))
            for version in (user.version, current.version + 1):
                with pytest.raises(Conflict):
                    await store.users.update(replace(user, version=version, disabled=True))
            assert await store.users.get(user.id) == current

    async def test_of_concurrent_updates_from_one_version_one_wins(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user = await with_user(store)
            ends = await together(16, lambda n: store.users.update(replace(user, epoch=n + 1)))
            winners = [end for end in ends if isinstance(end, User)]
            assert len(winners) == 1
            assert all(isinstance(end, Conflict) for end in ends if not isinstance(end, User)), ends
            assert await store.users.get(user.id) == winners[0]

    async def test_an_update_cannot_take_the_email_key_of_another(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            first, second = await with_user(store), await with_user(store)
            with pytest.raises(EmailTaken):
                await store.users.update(replace(second, email_key=first.email_key))
            assert await store.users.get(second.id) == second
            assert await store.users.by_email(first.email_key) == first

    async def test_an_email_key_that_was_given_up_is_free(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user = await with_user(store)
            moved = await store.users.update(replace(user, email_key=f"{fresh()}@example.org"))
            assert await store.users.by_email(user.email_key) is None
            assert await store.users.by_email(moved.email_key) == moved
            await with_user(store, email_key=user.email_key)

    async def test_accounts_are_listed_by_id_and_role_page_by_page(self, adapter: Make[IdentityStore]) -> None:
        role = fresh("role")
        async with opened(adapter()) as store:
            members = [await with_user(store, roles=("user", role) if n % 2 else (role,)) for n in range(7)]
            await with_user(store, roles=(f"{role}-other",))
            await with_user(store, roles=(role[:-1],))
            expected = sorted(members, key=lambda user: user.id)
            for limit in (1, 3, 7, 1000):
                first = await store.users.list(role=role, limit=limit)
                assert list(first.items) == expected[:limit]
                listed = await every(lambda cursor, n=limit: store.users.list(role=role, cursor=cursor, limit=n))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                assert listed == expected
            assert (await store.users.list(role=fresh("role"))).items == ()

    async def test_accounts_are_listed_without_a_role_too(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            users = [await with_user(store) for _ in range(3)]
            listed = await every(lambda cursor: store.users.list(cursor=cursor, limit=1000))
            ids = [user.id for user in listed]
            assert ids == sorted(set(ids))
            assert {user.id for user in users} <= set(ids)

    async def test_a_removed_account_takes_everything_of_its_own_along(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            session, refresh = await with_token(store)
            user = await store.users.get(session.user_id)
            action = an_action(user)
            await store.actions.add(action)
            key = a_key(user)
            await store.api_keys.add(key)
            other, theirs = await with_action(store)
            assert await store.users.remove(user.id) is True
            with pytest.raises(UserNotFound):
                await store.users.get(user.id)
            assert await store.users.by_email(user.email_key) is None
            assert await store.sessions.find(session.token_hash) is None
            assert await store.sessions.end(session.id) is False
            assert await store.refresh_tokens.spend(refresh.token_hash, NOW, bytes(32)) is None
            assert await store.actions.take(action.purpose, action.token_hash) is None
            assert await store.api_keys.find(key.key_hash) is None
            assert await store.users.remove(user.id) is False
            assert await store.users.get(other.id) == other
            assert await store.actions.take(theirs.purpose, theirs.token_hash) == theirs
            await with_user(store, email_key=user.email_key)

    @requires(Capability.PERSISTENT)
    async def test_an_account_outlives_the_store_that_wrote_it(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user = await with_user(store)
        async with opened(adapter()) as store:
            assert await store.users.get(user.id) == user

    @requires(Capability.SHARED)
    async def test_two_stores_see_the_same_accounts(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            user = await with_user(one)
            changed = await other.users.update(replace(user, epoch=1))
            assert await one.users.get(user.id) == changed
            with pytest.raises(Conflict):
                await one.users.update(user)

    @requires(Capability.SHARED)
    async def test_of_concurrent_accounts_in_two_stores_one_is_kept(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            key = f"{fresh()}@example.org"
            ends = await together(16, lambda n: (one, other)[n % 2].users.add(a_user(email_key=key)))
            _one_won(ends, EmailTaken)


def _one_won(ends: list[BaseException | None], loser: type[BaseException]) -> None:
    assert ends.count(None) == 1, ends
    assert all(isinstance(end, loser) for end in ends if end is not None), ends
