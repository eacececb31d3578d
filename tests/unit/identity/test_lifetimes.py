"""How long sessions, tokens and keys live, by a clock that is moved by hand."""

from __future__ import annotations

import pytest

from tradesense.core.audit.models import Actor, AuditQuery
from tradesense.core.errors import SessionEnded, TokenRefused
from tradesense.core.identity.models import Client
from tradesense.core.sensitive import Secret
from tradesense.core.testing import ManualClock
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

ACTOR = Actor(kind="user", id="ada")
EMAIL, PASSWORD = "ada@example.org", Secret("a long enough pass phrase")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def services(clock, tmp_path):
    settings = load({"ENVIRONMENT": "testing"}, directory=tmp_path).settings
    async with open_container(settings, clock=clock) as services:
        await services.accounts.create(EMAIL, PASSWORD, roles=("user",), actor=ACTOR)
        yield services


async def log_in(services):
    return await services.sessions.login(EMAIL, PASSWORD, client=Client(), actor=ACTOR, tokens=services.tokens)


def refresh(services, token):
    return services.tokens.refresh(token.reveal(), actor=ACTOR)


@pytest.mark.parametrize("seconds", [0, 10])
async def test_R19_within_the_grace_the_successor_is_the_same(services, clock, seconds):
    first = (await log_in(services)).pair.refresh_token
    second = (await refresh(services, first)).refresh_token
    clock.advance(seconds)
    assert (await refresh(services, first)).refresh_token == second
    assert await refresh(services, second)


@pytest.mark.parametrize(("earlier", "same"), [(10, True), (11, False)])
async def test_R19_who_asked_first_may_be_second_at_the_database(services, clock, earlier, same):
    first = (await log_in(services)).pair.refresh_token
    clock.advance(earlier)
    second = (await refresh(services, first)).refresh_token
    clock.advance(-earlier)
    if same:
        assert (await refresh(services, first)).refresh_token == second
        return
    with pytest.raises(TokenRefused):
        await refresh(services, first)


async def test_R19_after_the_grace_both_are_dead_and_the_trail_says_so(services, clock):
    login = await log_in(services)
    second = (await refresh(services, login.pair.refresh_token)).refresh_token
    clock.advance(11)
    for token in (login.pair.refresh_token, second):
        with pytest.raises(TokenRefused):
            await refresh(services, token)
    with pytest.raises(SessionEnded):
        await services.recognition.by_cookie(login.token.reveal())
    rows = (await services.trail.read(AuditQuery(action="identity.refresh-reuse"))).items
    assert [row.entry.subject for row in rows] == [login.session.id]


async def test_R19_a_chain_of_refreshes_ends_with_its_session(services, clock):
    policy = services.settings.identity.policy
    token = (await log_in(services)).pair.refresh_token
    for _ in range(policy.session_absolute // 1800 - 1):
        clock.advance(1800)
        token = (await refresh(services, token)).refresh_token
    clock.advance(1801)
    with pytest.raises(TokenRefused):
        await refresh(services, token)


async def test_R19_no_token_or_seed_that_is_kept_makes_the_successor(services):
    first = (await log_in(services)).pair.refresh_token
    second = (await refresh(services, first)).refresh_token
    for kept in services.sessions._store._refresh_tokens._rows.tokens._rows.values():
        assert second.reveal_bytes() not in (kept.token_hash, kept.seed)
        with pytest.raises(TokenRefused):
            await refresh(services, Secret(kept.token_hash.hex()))


async def test_R14_a_session_ends_when_it_is_idle_or_old(services, clock):
    policy = services.settings.identity.policy
    token = (await log_in(services)).token.reveal()
    for _ in range(2):
        clock.advance(policy.session_idle - 1)
        assert await services.recognition.by_cookie(token)
    clock.advance(policy.session_idle + 1)
    with pytest.raises(SessionEnded):
        await services.recognition.by_cookie(token)
    token = (await log_in(services)).token.reveal()
    for _ in range(policy.session_absolute // 1800 - 1):
        clock.advance(1800)
        assert await services.recognition.by_cookie(token)
    clock.advance(1799)
    assert await services.recognition.by_cookie(token)
    clock.advance(2)
    with pytest.raises(SessionEnded):
        await services.recognition.by_cookie(token)


async def test_R12_a_step_up_prolongs_nothing(services, clock):
    login = await log_in(services)
    clock.advance(1000)
    principal = await services.recognition.by_cookie(login.token.reveal())
    done = await services.sessions.step_up(principal, PASSWORD, client=Client(), actor=ACTOR)
    assert done.session.expires_at == login.session.expires_at
    assert done.session.id != login.session.id


async def test_R35_a_key_takes_a_login_of_the_last_five_minutes(services, clock):
    principal = await services.recognition.by_cookie((await log_in(services)).token.reveal())
    assert principal.proof(clock.now()).fresh
    clock.advance(300)
    assert principal.proof(clock.now()).fresh
    clock.advance(1)
    assert not principal.proof(clock.now()).fresh


async def test_an_api_key_ends_by_time_with_its_removal_and_with_its_user(services, clock):
    login = await log_in(services)
    principal = await services.recognition.by_cookie(login.token.reveal())

    async def made(ttl):
        return await services.api_keys.create(principal, "k", ["flags:evaluate"], ttl=ttl, actor=ACTOR)

    short, removed, kept = await made(60), await made(600), await made(600)
    for one in (short, removed, kept):
        held = await services.recognition.by_key(one.text.reveal())
        assert held.permits("flags:evaluate")
        assert not held.permits("identity:self"), "its user may, and it is not in its scopes"
        assert not held.proof(clock.now()).fresh
    await services.api_keys.remove(principal.user_id, removed.key.id, actor=ACTOR)
    clock.advance(61)
    for gone in (short, removed):
        with pytest.raises(TokenRefused):
            await services.recognition.by_key(gone.text.reveal())
    await services.accounts.disable(principal.user_id, actor=ACTOR)
    clock.advance(1)
    with pytest.raises(TokenRefused):
        await services.recognition.by_key(kept.text.reveal())
