"""What is asked of the sessions of one user, of API keys and of roles."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from tradesense.core.capabilities import Capability
from tradesense.core.errors import Conflict, InvalidInput
from tradesense.core.identity.models import Session
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.identity.rules import Role
from tradesense.core.testing.base import Contract, Make, fresh, opened, requires, together
from tradesense.core.testing.identity.samples import NOW, a_key, a_session, a_token, with_user


class UserSessionTests(Contract):
    """The part of the identity store's contract about the sessions of one user."""

    port = IdentityStore

    async def test_the_sessions_of_a_user_are_listed_by_id_page_by_page(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user, other = await with_user(store), await with_user(store)
            mine = sorted((a_session(user) for _ in range(5)), key=lambda session: session.id)
            for session in (*reversed(mine), a_session(other)):
                await store.sessions.add(session)
            seen: list[Session] = []
            cursor: str | None = None
            for _ in range(5):
                page = await store.user_sessions.list(user.id, cursor=cursor, limit=2)
                seen += page.items
                if (cursor := page.cursor) is None:
                    break
            assert seen == mine
            assert (await store.user_sessions.list(user.id, limit=5)).cursor is None
            assert (await store.user_sessions.list(fresh())).items == ()
            with pytest.raises(InvalidInput):
                await store.user_sessions.list(user.id, cursor="not one of ours")

    async def test_all_sessions_of_a_user_but_one_end_with_their_tokens(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user, other = await with_user(store), await with_user(store)
            kept, *ended = (a_session(user) for _ in range(4))
            foreign = a_session(other)
            tokens = {session.id: a_token(session) for session in (kept, *ended, foreign)}
            for session in (kept, *ended, foreign):
                await store.sessions.add(session)
                await store.refresh_tokens.add(tokens[session.id])
            assert await store.user_sessions.end(user.id, keep=kept.id) == 3
            assert (await store.user_sessions.list(user.id)).items == (kept,)
            for session in ended:
                assert await store.sessions.find(session.token_hash) is None
                assert await store.refresh_tokens.find(tokens[session.id].token_hash) is None
            for session in (kept, foreign):
                assert await store.refresh_tokens.find(tokens[session.id].token_hash) is not None
            assert await store.user_sessions.end(user.id) == 1
            assert await store.user_sessions.end(user.id) == 0


class ApiKeyTests(Contract):
    """The API keys' part of the identity store's contract."""

    port = IdentityStore

    async def test_a_key_is_found_with_its_user_of_today(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            user = await with_user(store, roles=("user", "admin"))
            key = a_key(user, name="Zoë's 🦄 key", expires_at=NOW - timedelta(days=1))
            await store.api_keys.add(key)
            assert await store.api_keys.find(key.key_hash) == (key, user)
            changed = await store.users.update(replace(user, disabled=True))
            assert await store.api_keys.find(key.key_hash) == (key, changed)
            near = key.key_hash[:-1] + bytes([key.key_hash[-1] ^ 1])
            assert await store.api_keys.find(near) is None
            assert await store.api_keys.find(b"") is None

    async def test_the_keys_of_a_user_are_listed_and_removed_by_the_user_alone(
        self, adapter: Make[IdentityStore]
    ) -> None:
        async with opened(adapter()) as store:
            user, other = await with_user(store), await with_user(store)
            keys = sorted((a_key(user) for _ in range(3)), key=lambda key: key.id)
            for key in (*reversed(keys), a_key(other)):
                await store.api_keys.add(key)
            assert list(await store.api_keys.of_user(user.id)) == keys
            assert await store.api_keys.remove(other.id, keys[0].id) is False
            assert await store.api_keys.find(keys[0].key_hash) is not None, "a key is its own user's to remove"
            assert await store.api_keys.remove(user.id, keys[0].id) is True
            assert await store.api_keys.remove(user.id, keys[0].id) is False
            assert await store.api_keys.find(keys[0].key_hash) is None
            assert list(await store.api_keys.of_user(user.id)) == keys[1:]

    async def test_a_use_of_a_key_moves_forward_only(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            key = a_key(await with_user(store))
            await store.api_keys.add(key)
            later = NOW + timedelta(minutes=5, microseconds=1)
            for at in (later, NOW):
                await store.api_keys.touch(key.id, at)
                found = await store.api_keys.find(key.key_hash)
                assert found is not None
                assert found[0] == replace(key, last_used_at=later)
            await store.api_keys.touch(fresh(), NOW)

    @requires(Capability.SHARED)
    async def test_a_key_removed_in_one_store_is_gone_in_the_other(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            key = a_key(await with_user(one))
            await one.api_keys.add(key)
            assert await other.api_keys.find(key.key_hash) is not None
            assert await other.api_keys.remove(key.user_id, key.id)
            assert await one.api_keys.find(key.key_hash) is None


class RoleTests(Contract):
    """The roles' part of the identity store's contract."""

    port = IdentityStore

    async def test_a_role_is_kept_as_it_is_with_the_next_revision(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            role = Role(
                name=fresh("r"),
                allow=("secrets:read:team-a/*", "flags:*"),
                deny=("secrets:read:team-a/private/*",),
                step_up=("flags:write",),
                mfa=("flags:*",),
                inherits=("user", "gone"),
                description="Zoë 🦄",
            )
            first = await store.roles.put(role, NOW, expected=0)
            assert (first.role, first.revision, first.updated_at) == (role, 1, NOW)
            second = await store.roles.put(Role(name=role.name), NOW + timedelta(seconds=1))
            assert (second.role, second.revision) == (Role(name=role.name), 2)
            stored = await store.roles.all()
            assert [one for one in stored if one.role.name == role.name] == [second]
            names = [one.role.name for one in stored]
            assert names == sorted(names)

    async def test_a_role_of_another_revision_is_not_replaced(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            role = Role(name=fresh("r"), allow=("a:b",))
            with pytest.raises(Conflict):
                await store.roles.put(role, NOW, expected=1)
            first = await store.roles.put(role, NOW, expected=0)
            for expected in (0, 2):
                with pytest.raises(Conflict):
                    await store.roles.put(Role(name=role.name), NOW, expected=expected)
            assert first in await store.roles.all()

    async def test_of_concurrent_writers_of_one_revision_one_wins(self, adapter: Make[IdentityStore]) -> None:
        async with opened(adapter()) as store:
            name = fresh("r")
            for revision in (0, 1):
                ends = await together(
                    16,
                    lambda n, r=revision: store.roles.put(  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                        Role(name=name, description=str(n)), NOW, expected=r
                    ),
                )
                lost = [end for end in ends if isinstance(end, Conflict)]
                assert len(lost) == len(ends) - 1, "exactly one of them is kept"
                (kept,) = [one for one in await store.roles.all() if one.role.name == name]
                assert kept in ends
