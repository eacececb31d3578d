"""A refused login takes as long as any other, whichever system made the hash that it was checked against."""

from __future__ import annotations

import pytest

from tradesense.core.audit.models import Actor
from tradesense.core.errors import CredentialsRefused
from tradesense.core.identity.models import Client, IdentityPolicy
from tradesense.core.identity.sessions import Sessions
from tradesense.core.sensitive import Secret
from tradesense.core.testing import ManualClock
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

ACTOR = Actor(kind="anonymous")
BCRYPT = "$2b$10$" + "a" * 53
COSTS = {"$2b$": 0.4, "$argo": 0.1}
"""Seconds that a hash of each kind takes to check."""


class Costly:
    """A hasher whose checks take the time of their kind, by a clock that is moved by hand."""

    def __init__(self, clock):
        self._clock = clock

    def readable(self, hashed):
        return bool(hashed)

    def outdated(self, _hashed):
        return False

    async def hash(self, _password):
        return Secret("$argon2id$of-nothing")

    async def verify(self, hashed, _password):
        self._clock.advance(next(cost for kind, cost in COSTS.items() if hashed.reveal().startswith(kind)))
        return False


@pytest.fixture
async def times(tmp_path):
    """Seconds that a refusal takes for each kind of account, under a policy."""
    clock = ManualClock()
    settings = load({"ENVIRONMENT": "testing"}, directory=tmp_path).settings
    async with open_container(settings, clock=clock) as services:
        await services.accounts.create(
            "ours@example.org", Secret("a long enough pass phrase"), roles=("user",), actor=ACTOR
        )
        await services.accounts.adopt("theirs@example.org", Secret(BCRYPT), verified=True, actor=ACTOR)

        async def pause(seconds):
            clock.advance(seconds)

        async def measured(policy):
            sessions = Sessions(
                store=services.accounts._store,
                hasher=Costly(clock),
                recognition=services.recognition,
                attempts=services.sessions._attempts,
                trail=services.trail,
                telemetry=services.telemetry,
                clock=clock,
                random=services.random,
                ids=services.ids,
                policy=policy,
                joined=False,
                pause=pause,
            )
            found = {}
            for name in ("ours", "theirs", "nobody"):
                began = clock.monotonic()
                with pytest.raises(CredentialsRefused):
                    await sessions.login(f"{name}@example.org", Secret("wrong"), client=Client(), actor=ACTOR)
                found[name] = round(clock.monotonic() - began, 6)
            return found

        yield measured


async def test_R06_a_refusal_takes_as_long_for_a_hash_of_another_system(times):
    assert await times(IdentityPolicy(login_refusal=0.5)) == {"ours": 0.5, "theirs": 0.5, "nobody": 0.5}


async def test_without_the_bound_the_hash_of_another_system_shows(times):
    assert await times(IdentityPolicy()) == {"ours": 0.1, "theirs": 0.4, "nobody": 0.1}
