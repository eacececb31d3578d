"""Hosts whose clocks are wrong, over real databases: nothing lives again, and nothing lives longer than it may."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from tradesense.core.audit.models import Actor
from tradesense.core.errors import SessionEnded, TokenRefused
from tradesense.core.identity.models import Client, Purpose, RefreshToken, TokenKind
from tradesense.core.identity.tokens import digest
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

ACTOR = Actor(kind="anonymous")
EMAIL, PASSWORD = "ada@example.org", Secret("correct horse battery staple")
HOUR, DAY = 3600, 86_400
MINUTE = timedelta(minutes=1)


class Host:
    """A clock that somebody has set wrong by so many seconds, or sets wrong now."""

    def __init__(self, wrong=0):
        self.wrong = wrong

    def now(self):
        return datetime.now(UTC) + timedelta(seconds=self.wrong)

    def monotonic(self):
        return time.monotonic()


@pytest.fixture
async def platform(database, tmp_path):
    """Opens a platform over one database, on a host of its own."""
    env = {"ENVIRONMENT": "testing", "DATABASE_URL": database, "TRADESENSE_IDENTITY__MESSENGER": "memory"}
    env["TRADESENSE_IDENTITY__JOSE__SECRET"] = "k" * 32
    for room in ("IDENTITY__PROVIDER", "AUDIT__PROVIDER", "JOBS__OUTBOX", "CACHE__LOCKS"):
        env[f"TRADESENSE_{room}"] = "sql"
    loaded = load(env, directory=tmp_path)
    async with AsyncExitStack() as stack:

        async def open_on(host):
            return await stack.enter_async_context(open_container(loaded.settings, plugins=loaded.plugins, clock=host))

        yield open_on


def log_in(services):
    return services.sessions.login(EMAIL, PASSWORD, client=Client(), actor=ACTOR, tokens=services.tokens)


async def leftovers(right, user):
    """What is dead by the database's time, though nobody has swept it away."""
    now = right.clock.now()
    kept = (await log_in(right)).session
    ages = {"old": (timedelta(hours=24, minutes=30), MINUTE), "idle": (timedelta(hours=3), timedelta(minutes=90))}
    for name, (age, unseen) in ages.items():
        begun = now - age
        await right.accounts._store.sessions.add(
            replace(
                kept,
                id=right.ids.new(),
                token_hash=digest(name),
                created_at=begun,
                last_seen_at=now - unseen,
                expires_at=begun + timedelta(hours=24),
            )
        )
    spent = RefreshToken(token_hash=digest("refresh"), session_id=kept.id, expires_at=now - 10 * MINUTE)
    await right.accounts._store.refresh_tokens.add(spent)
    async with right.transactions.begin():
        link = await right.actions.issue(Purpose.RESET_PASSWORD, user)
    told = await right.accounts._store.actions.take(Purpose.RESET_PASSWORD, digest(link))
    life = told.expires_at - told.created_at
    old = replace(told, created_at=now - life - 10 * MINUTE, expires_at=now - 10 * MINUTE)
    await right.accounts._store.actions.add(old)
    issued = int(now.timestamp()) - 900
    claims = {"sub": user.id, "sid": kept.id, "jti": "j", "iat": issued, "exp": issued + 600}
    return link, (await right.signer.sign(TokenKind.ACCESS, claims)).reveal()


async def test_F20_a_wrong_clock_revives_nothing_and_prolongs_nothing(platform):
    right = await platform(Host())
    user = await right.accounts.create(EMAIL, PASSWORD, roles=("user",), actor=ACTOR)
    dead = await leftovers(right, user)
    lease = await right.locks.acquire("f20", 30)
    for wrong in (-HOUR, -DAY, HOUR):  # the last one is written down, and then it is not earlier any more
        started, stepped = Host(wrong), Host()
        for host in (started, stepped):
            other = await platform(host)
            host.wrong = wrong
            await nothing_lives(other, *dead)
            assert await other.locks.acquire("f20", 30) is None, "a lease is the holder's, whatever time it is"
            assert await right.locks.renew(lease)
            await a_login_is_as_long_as_any(right, other, host)


async def nothing_lives(other, link, access):
    for token in ("old", "idle"):
        with pytest.raises(SessionEnded):
            await other.recognition.by_cookie(token)
    for refused in (
        lambda: other.tokens.refresh("refresh", actor=ACTOR),
        lambda: other.actions.owner(Purpose.RESET_PASSWORD, link),
        lambda: other.recognition.by_bearer(access),
    ):
        with pytest.raises(TokenRefused):
            await refused()


async def a_login_is_as_long_as_any(right, other, host):
    begun = datetime.now(UTC)
    login = await log_in(other)
    token = login.pair.access_token.reveal()
    assert await other.recognition.by_bearer(token), "who logs in is in"
    claims = await other.signer.verify(TokenKind.ACCESS, token)
    if right.accounts._store._shared.dialect == "postgresql":
        assert await right.recognition.by_bearer(token), "everywhere"
        ends = datetime.fromtimestamp(claims["exp"], UTC)
        assert ends - begun < timedelta(seconds=600) + MINUTE, "for as long as a token lives by the database's time"
        assert abs(login.session.created_at - begun) < MINUTE
    else:
        # The host is the database's too, and there is no other time than its own: it runs on from the latest of it.
        ahead = timedelta(seconds=max(host.wrong, 0))
        host.wrong = -DAY
        assert ahead - MINUTE < other.clock.now() - begun < ahead + MINUTE
