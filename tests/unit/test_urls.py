from __future__ import annotations

import pytest

from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret
from tradesense.core.urls import check_url


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
