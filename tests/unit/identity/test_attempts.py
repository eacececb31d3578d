"""How attempts are counted, and which browsers are known."""

from __future__ import annotations

import secrets

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryLimiter
from tradesense.adapters.memory.telemetry import MemoryTelemetry
from tradesense.core.cache.limits import Throttle
from tradesense.core.errors import LimitExceeded
from tradesense.core.identity.attempts import Attempts, block
from tradesense.core.identity.browsers import KnownBrowsers
from tradesense.core.identity.models import Client, IdentityPolicy
from tradesense.core.testing import ManualClock

TTL = 3600


class Bytes:
    def bytes(self, count):
        return secrets.token_bytes(count)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def browsers(clock):
    return KnownBrowsers(key=bytes(range(32)), clock=clock, random=Bytes(), ttl=TTL)


EMAIL = "ada@example.org"
ELSEWHERE = Client(address="192.0.2.7")


@pytest.fixture
async def make(clock, browsers):
    """Attempts under a policy, counted in memory."""
    limiter = MemoryLimiter(MemoryState(), clock=clock)
    async with limiter:
        throttle = Throttle(shared=limiter, local=limiter, telemetry=MemoryTelemetry(clock=clock))
        yield lambda **policy: Attempts(
            throttle=throttle,
            browsers=browsers,
            policy=IdentityPolicy(login_attempts_per_day=10_000, login_attempts_per_address=10_000, **policy),
        )


async def wait_of(attempts, account=EMAIL, client=ELSEWHERE):
    """Seconds that an attempt is told to wait; 0 where it is counted."""
    try:
        await attempts.count(account, client)
    except LimitExceeded as refused:
        return refused.retry_after
    return 0


async def test_R08_each_failure_after_the_fifth_waits_twice_as_long_and_the_hundredth_is_the_last(make, clock):
    attempts = make()
    assert [await wait_of(attempts) for _ in range(5)] == [0] * 5
    waits = []
    while (wait := await wait_of(attempts)) <= 900:
        assert await wait_of(attempts) == wait, "who is refused waits no longer for it"
        clock.advance(wait)
        assert await wait_of(attempts) == 0
        waits.append(wait)
    assert waits[:11] == pytest.approx([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900])
    assert waits[11:] == pytest.approx([900] * 84)
    assert 5 + len(waits) == 100
    assert wait > 20 * 86_400, "then it takes the owner's mail, or a month"
    for spelling in (" ADA@example.org", f"{chr(0xFF41)}da@example.org"):
        assert await wait_of(attempts, spelling) == wait
    assert await wait_of(attempts, "eve@example.org") == 0
    await attempts.forgive(EMAIL)
    assert await wait_of(attempts) == 0


async def test_R08_a_success_ends_a_row_of_failures_and_clears_no_other_count(make):
    attempts = make(login_attempts_in_all=9)
    for _ in range(2):
        assert [await wait_of(attempts) for _ in range(4)] == [0] * 4
        await attempts.succeeded(EMAIL, ELSEWHERE)
    assert await wait_of(attempts, "eve@example.org") == 0
    assert await wait_of(attempts) > 1, "everybody together have had nine"
    assert await wait_of(attempts, "bob@example.org") > 1


async def test_R10_a_known_browser_waits_for_its_own_failures_alone(make, browsers, clock):
    attempts, client = make(), Client(address="192.0.2.8", browser=browsers.issue(EMAIL).reveal())
    while not await wait_of(attempts):
        pass
    assert [await wait_of(attempts, client=client) for _ in range(5)] == [0] * 5
    assert await wait_of(attempts, client=client) == pytest.approx(1)
    clock.advance(1)
    await attempts.succeeded(EMAIL, client)
    assert [await wait_of(attempts, client=client) for _ in range(5)] == [0] * 5
    clock.advance(-1)
    assert await wait_of(attempts) > 0, "the attacker's failures count on"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("2001:db8:1:ffff:ffff::1", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("a name", "a name"),
        ("", ""),
    ],
)
def test_R08_who_has_one_address_of_a_network_has_its_count(address, network):
    assert block(address) == network


def test_R10_a_browser_is_known_for_its_account_alone_and_for_a_while(browsers, clock):
    cookie = browsers.issue("ada@example.org").reveal()
    name = browsers.known(cookie, "ada@example.org")
    assert len(name) == 32
    assert browsers.known(cookie, "ada@example.org") == name
    assert browsers.known(browsers.issue("ada@example.org").reveal(), "ada@example.org") != name
    assert not browsers.known(cookie, "eve@example.org")
    clock.advance(TTL - 1)
    assert browsers.known(cookie, "ada@example.org") == name
    clock.advance(2)
    assert not browsers.known(cookie, "ada@example.org")


def test_R10_a_cookie_that_we_did_not_sign_is_none(browsers, clock):
    good = browsers.issue("ada@example.org").reveal()
    other = KnownBrowsers(key=bytes(32), clock=clock, random=Bytes(), ttl=TTL).issue("ada@example.org").reveal()
    forged = [other, "", "x", good[:-4], good + "AAAA", "é" * 75, "=" * 76, good.replace(good[3], "!"), "A" * 10_000]
    forged += [good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :] for at in range(0, len(good) - 1, 7)]
    for cookie in forged:
        assert not browsers.known(cookie, "ada@example.org"), cookie
