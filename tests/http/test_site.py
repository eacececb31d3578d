"""Which hosts, origins, proxies and cookies are ours."""

from __future__ import annotations

import pytest

from tradesense.core.errors import ConfigurationError
from tradesense.entrypoints.http.site import Site
from tradesense.settings.schema import HttpSettings, Settings


def site(environment="production", **http):
    return Site(Settings(environment=environment, http=HttpSettings(**http)))


PRODUCTION = {"base_url": "https://api.example.org"}


def test_R13_cookies_are_for_this_host_alone_where_there_is_tls():
    assert site(**PRODUCTION).cookies == ("__Host-session", "__Host-visit", "__Host-browser", True)


@pytest.mark.parametrize(
    ("environment", "http", "secure"),
    [
        ("development", {}, False),
        ("testing", {}, False),
        ("development", {"base_url": "http://localhost:8000"}, False),
        ("development", {"base_url": "https://localhost:8000"}, True),
        ("development", {"base_url": "http://10.0.0.1"}, True),
        ("development", {"host": "0.0.0.0"}, True),
        ("staging", {}, True),
        ("production", {"base_url": "http://localhost"}, True),
    ],
)
def test_R13_cookies_go_in_the_clear_only_over_loopback_in_development(environment, http, secure):
    assert site(environment, **http).cookies.secure is secure


def test_R22_our_origin_is_that_of_the_base_url():
    assert site(**PRODUCTION).origins == {b"https://api.example.org"}
    assert site(base_url="https://api.example.org:443").origins == {b"https://api.example.org"}
    assert site(base_url="https://api.example.org:8443/").origins == {b"https://api.example.org:8443"}
    assert b"http://localhost:8000" in site("development").origins


def test_R27_hosts_are_those_of_the_settings():
    ours = site(**PRODUCTION)
    assert ours.knows_host(b"api.example.org")
    assert ours.knows_host(b"API.example.org:8443")
    assert not ours.knows_host(b"evil.example.org")
    chosen = site(**PRODUCTION, allowed_hosts=("other.example.org",))
    assert chosen.knows_host(b"other.example.org")
    assert not chosen.knows_host(b"api.example.org")
    assert site("development", allowed_hosts=("*",)).knows_host(b"anything.example")


def test_R27_names_that_callers_make_up_are_not_remembered():
    ours = site(**PRODUCTION)
    for port in range(1000):
        assert ours.knows_host(f"api.example.org:{port}".encode())
        assert not ours.knows_host(f"x{port}.example.org".encode())
    assert len(ours._known_hosts) <= 100


PROXIED = {**PRODUCTION, "trusted_proxies": ("10.0.0.0/8", "fd00::/8")}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", b"1.2.3.4", "203.0.113.9"),
        ("10.0.0.1", b"1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", b"6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", b"6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", b"1.2.3.4:5678", "1.2.3.4"),
        ("10.0.0.1", b"[2001:db8::1]:80", "2001:db8::1"),
        ("fd00::1", b"2001:db8::2", "2001:db8::2"),
        ("10.0.0.1", b"evil, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", b"1.2.3.4, evil", "10.0.0.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("", b"1.2.3.4", ""),
    ],
)
def test_R09_the_client_is_the_rightmost_address_that_no_proxy_of_ours_vouches_for(peer, forwarded, client):
    assert site(**PROXIED).client_address(peer, forwarded) == client


def test_R09_without_trusted_proxies_nothing_is_believed():
    assert site(**PRODUCTION).client_address("10.0.0.1", b"1.2.3.4") == "10.0.0.1"


def test_a_proxy_that_is_no_network_ends_the_start():
    with pytest.raises(ConfigurationError, match="is not a network"):
        site(**PRODUCTION, trusted_proxies=("ten dot nothing",))
