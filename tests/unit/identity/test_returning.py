"""What the settings may name as a place to go on to."""

from __future__ import annotations

import pytest

from tradesense.core.errors import ConfigurationError, InvalidInput
from tradesense.core.identity.mails import Mails
from tradesense.core.identity.models import Purpose
from tradesense.core.identity.returning import Returns
from tradesense.entrypoints.mails import catalogue


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/account",
        "app.example.org",
        "http://app.example.org/",
        "https://*.example.org/",
        "https://user@app.example.org/",
        "https://app.example.org/#x",
        "https://app.example.org\\x",
        "https://b\u00fccher.example/",
        "https:///x",
        "https://a:x/",
        "javascript:alert(1)",
    ],
)
def test_a_setting_that_is_no_whole_url_is_refused(url: str):
    with pytest.raises(ConfigurationError) as refused:
        Returns([url])
    assert refused.value.origin == "identity.return_to"


@pytest.mark.parametrize("url", ["https://app.example.org/", "http://localhost:3000/x?y=1", "http://[::1]:8/"])
def test_R29_what_is_named_is_taken_letter_by_letter(url: str):
    returns = Returns([url])
    assert returns.check(url) == url
    for other in (url + "x", url + "/", url.upper(), f" {url}", f"{url}?"):
        with pytest.raises(InvalidInput):
            returns.check(other)
    assert returns.check("") == ""


def test_a_place_that_is_allowed_no_more_does_not_go_along():
    mails = Mails(catalogue(), product="x", base="https://app.example.org", returns=Returns())
    gone = mails.link(Purpose.VERIFY_EMAIL, "t", "https://gone.example.org/")
    assert gone == "https://app.example.org/verify-email#token=t"
    assert mails.link(Purpose.VERIFY_EMAIL, "t", "/a?b=1") == f"{gone}&return_to=%2Fa%3Fb%3D1"
