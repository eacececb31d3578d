"""One-time tokens over real databases: races, expiry, and what they are bound to."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from tradesense.core.audit.models import Actor, AuditQuery
from tradesense.core.errors import AuditUnavailable, Conflict, TokenRefused
from tradesense.core.identity.models import Purpose
from tradesense.core.identity.tokens import digest
from tradesense.core.sensitive import Secret

ACTOR = Actor(kind="anonymous")
PASSWORD = Secret("correct horse battery staple")
IN_SHORT, WHOLE = 6, 200


@pytest.fixture
async def user(services):
    await services.accounts.register("ada@example.org", PASSWORD, actor=ACTOR)
    return await services.accounts.named("ada@example.org")


async def issued(services, purpose, user):
    async with services.transactions.begin():
        return await services.actions.issue(purpose, user)


async def tried(call):
    try:
        await call
    except (TokenRefused, Conflict):
        return 0
    return 1


@pytest.mark.soak
async def test_F09_of_32_concurrent_uses_of_a_one_time_token_one_wins_in_every_round(services, user, soaking):
    for number in range(WHOLE if soaking else IN_SHORT):
        user = await services.accounts._store.users.update(
            replace(await services.accounts.get(user.id), verified=False, next_email="next@example.org")
        )
        if number % 2:
            token = await issued(services, Purpose.VERIFY_EMAIL, user)
            calls = [services.addresses.verify(token, actor=ACTOR) for _ in range(32)]
        else:
            token = await issued(services, Purpose.CHANGE_EMAIL_OLD, user)
            calls = [services.addresses.confirm(token, actor=ACTOR) for _ in range(32)]
        assert sum(await asyncio.gather(*map(tried, calls))) == 1


async def test_F09_both_confirmations_at_once_move_the_account(services, user):
    user = await services.accounts._store.users.update(replace(user, next_email="next@example.org"))
    sides = [await issued(services, purpose, user) for purpose in (Purpose.CHANGE_EMAIL_OLD, Purpose.CHANGE_EMAIL_NEW)]
    done = await asyncio.gather(*(services.addresses.confirm(token, actor=ACTOR) for token in sides))
    assert sorted(done) == [False, True]
    assert (await services.accounts.named("next@example.org")).id == user.id


async def test_a_token_is_stored_as_its_hash_alone(services, user):
    token = await issued(services, Purpose.RESET_PASSWORD, user)
    found = await services.accounts._store.actions.find(Purpose.RESET_PASSWORD, digest(token))
    assert token.reveal_bytes() not in repr(found).encode()
    assert len(found.token_hash) == 32


@pytest.mark.parametrize(
    ("purpose", "changed"),
    [
        (Purpose.VERIFY_EMAIL, {"verified": True}),
        (Purpose.VERIFY_EMAIL, {"email": "other@example.org"}),
        (Purpose.RESET_PASSWORD, {"epoch": 1}),
        (Purpose.RESET_PASSWORD, {"email": "other@example.org"}),
        (Purpose.RESET_PASSWORD, {"disabled": True}),
        (Purpose.CHANGE_EMAIL_NEW, {"next_email": "third@example.org"}),
        (Purpose.CHANGE_EMAIL_OLD, {"epoch": 1}),
    ],
)
async def test_a_token_is_dead_once_the_account_has_changed(services, user, purpose, changed):
    token = await issued(services, purpose, user)
    assert (await services.actions.owner(purpose, token)).id == user.id
    await services.accounts._store.users.update(replace(user, **changed))
    for call in (services.actions.owner, services.actions.redeem):
        with pytest.raises(TokenRefused):
            await call(purpose, token)


async def test_R14_a_token_is_good_until_its_life_is_over(services, user):
    store = services.accounts._store
    for purpose in Purpose:
        token = await issued(services, purpose, user)
        kept = await store.actions.take(purpose, digest(token))
        life = timedelta(seconds=services.actions.life(purpose))
        assert kept.expires_at - kept.created_at == life
        now = services.clock.now()
        for created, good in ((now - life + timedelta(minutes=1), True), (now - life, False), (now + life, False)):
            await store.actions.add(replace(kept, created_at=created, expires_at=created + life))
            try:
                await services.actions.owner(purpose, token)
            except TokenRefused:
                assert not good
            else:
                assert good
            await store.actions.take(purpose, digest(token))


async def test_R61_what_cannot_be_recorded_uses_no_token_up(services, user, monkeypatch):
    token = await issued(services, Purpose.VERIFY_EMAIL, user)

    async def refuse(_):
        raise AuditUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(services.trail._log, "append", refuse)
        with pytest.raises(AuditUnavailable):
            await services.addresses.verify(token, actor=ACTOR)
    assert not (await services.accounts.get(user.id)).verified
    await services.addresses.verify(token, actor=ACTOR)
    (row,) = (await services.trail.read(AuditQuery(action="identity.verify-email"))).items
    assert row.entry.subject == user.id


async def test_expired_tokens_are_swept(services, user):
    token = await issued(services, Purpose.VERIFY_EMAIL, user)
    store = services.accounts._store
    kept = await store.actions.take(Purpose.VERIFY_EMAIL, digest(token))
    await store.actions.add(replace(kept, expires_at=services.clock.now() - timedelta(seconds=1)))
    assert await services.actions.sweep() == 1
    assert await services.actions.sweep() == 0
