from __future__ import annotations

import pytest

from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret
from tradesense.core.urls import Sentinels, check_url, sentinels_of


@pytest.mark.parametrize("url", ["redis://h", "redis://u:p%40@h:6379/0", "redis://[::1]:6379", "secret://redis/url"])
def test_an_address_is_taken(url: str):
    check_url(Secret(url), key="redis.url", schemes={"redis"}, form="redis://HOST")


@pytest.mark.parametrize(
    "url", ["", "canary", "http://canary", "redis://canary:x", "redis://h:70000", "redis://[canary"]
)
def test_what_is_none_is_refused_and_not_repeated(url: str):
    with pytest.raises(ConfigurationError) as refused:
        check_url(Secret(url), key="redis.url", schemes={"redis"}, form="redis://HOST")
    assert "canary" not in refused.value.line()
    assert refused.value.origin == "redis.url"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis+sentinel://h/main", Sentinels(hosts=(("h", 26379),), service="main")),
        (
            "rediss+sentinel://u:p%40%2F@a:1,b,[::1]:3/m%20n/7",
            Sentinels(
                hosts=(("a", 1), ("b", 26379), ("::1", 3)),
                service="m n",
                database=7,
                username="u",
                password=Secret("p@/"),
                tls=True,
            ),
        ),
        ("redis+sentinel://:p@h/main", Sentinels(hosts=(("h", 26379),), service="main", password=Secret("p"))),
    ],
)
def test_sentinels_are_read(url: str, found: Sentinels):
    read = sentinels_of(Secret(url), key="redis.url")
    assert read == found
    assert read is not None
    assert read.password.reveal() == found.password.reveal()
    assert "p@" not in read.address


@pytest.mark.parametrize("url", ["redis://h", "", "secret://redis/url"])
def test_another_address_names_no_sentinels(url: str):
    assert sentinels_of(Secret(url), key="redis.url") is None


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://",
        "redis+sentinel://canary",
        "redis+sentinel://u:canary@/main",
        "redis+sentinel://u:canary@h:x/main",
        "redis+sentinel://u:canary@h,/main",
        "redis+sentinel://u:canary@h:70000/main",
        "redis+sentinel://u:canary@h/main/x",
        "http+sentinel://u:canary@h/main",
    ],
)
def test_sentinels_that_are_none_are_refused_and_not_repeated(url: str):
    with pytest.raises(ConfigurationError, match="sentinels") as refused:
        sentinels_of(Secret(url), key="redis.url")
    assert "canary" not in refused.value.line() + repr(refused.value.__cause__)
    assert refused.value.origin == "redis.url"
