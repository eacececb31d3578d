"""What identity changes by itself has its row, in the same transaction."""

from __future__ import annotations

import pytest

from tradesense.core.audit.models import Actor, AuditQuery
from tradesense.core.errors import AuditUnavailable, SessionEnded
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


async def rows(services, action):
    return [record.entry for record in (await services.trail.read(AuditQuery(action=action))).items]


def logged_in(services, **more):
    return services.sessions.login(EMAIL, PASSWORD, client=Client(), actor=ACTOR, **more)


async def test_R61_a_login_by_token_and_its_first_pair_are_one_change(services, monkeypatch):
    login = await logged_in(services, tokens=services.tokens)
    assert (await services.sessions.by_bearer(login.pair.access_token.reveal())).session_id == login.session.id
    assert (await logged_in(services)).pair is None
    assert len(await rows(services, "identity.login")) == 2

    issue, begun = services.tokens.issue, []

    async def issue_and_fail(session):
        begun.append((session, await issue(session)))
        raise AuditUnavailable

    monkeypatch.setattr(services.tokens, "issue", issue_and_fail)
    with pytest.raises(AuditUnavailable):
        await logged_in(services, tokens=services.tokens)
    ((_, pair),) = begun
    with pytest.raises(SessionEnded):
        await services.sessions.by_bearer(pair.access_token.reveal())
    assert len(await rows(services, "identity.login")) == 2


async def test_R61_the_sweep_says_how_many_sessions_it_removed(services, clock):
    for _ in range(3):
        await logged_in(services)
    assert await services.sessions.sweep() == 0
    assert await rows(services, "identity.sweep") == []
    clock.advance(services.settings.identity.policy.session_absolute + 1)
    assert await services.sessions.sweep() == 3
    (entry,) = await rows(services, "identity.sweep")
    assert (entry.actor.kind, entry.detail) == ("worker", {"removed": "3"})


async def test_R61_what_cannot_be_recorded_is_not_swept(services, clock, monkeypatch):
    await logged_in(services)
    clock.advance(services.settings.identity.policy.session_absolute + 1)

    async def refuse(_):
        raise AuditUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(services.trail._log, "append", refuse)
        with pytest.raises(AuditUnavailable):
            await services.sessions.sweep()
    assert await services.sessions.sweep() == 1
