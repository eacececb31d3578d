"""How attempts are counted, and which browsers are known."""

from __future__ import annotations

import secrets

import pytest

from tradesense.core.identity.attempts import block
from tradesense.core.identity.browsers import KnownBrowsers
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
