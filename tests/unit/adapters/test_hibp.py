"""Asking for a range of digests, of a server of our own that speaks the interface."""

from __future__ import annotations

import pytest

import contracted
import servers
from rangeserver import DIGEST, ranges
from tradesense.core.errors import Unavailable
from tradesense.core.identity.ports import BreachedPasswords
from tradesense.core.sensitive import Secret


def hibp(url, **settings):
    return contracted.build(contracted.manifest("hibp", BreachedPasswords), contracted.context(), url=url, **settings)


async def test_R04_five_digits_of_the_digest_are_sent_and_padding_is_asked_for():
    async with ranges() as (asked, url), hibp(url, timeout=20) as breached:
        assert await breached.contains(Secret("password")) is True
        assert await breached.contains(Secret("padding")) is False, "a padded line counts none"
        assert await breached.contains(Secret("xq7-fjord-lamp-41-quilt")) is False
    assert asked[0].split()[1] == f"/range/{DIGEST[:5]}"
    assert "add-padding: true" in asked[0].lower()
    assert not any(DIGEST[5:] in request or "password" in request for request in asked)


@pytest.mark.parametrize(
    ("status", "body"),
    [(b"503 Busy", b""), (b"302 Found", b""), (b"200 OK", b"x" * 2_000_000), (b"200 OK", DIGEST[5:].encode() + b":x")],
    ids=["busy", "redirect", "too much", "garbled"],
)
async def test_what_is_no_range_is_no_answer(status, body):
    async with ranges(status, body) as (_, url), hibp(url, timeout=20) as breached:
        with pytest.raises(Unavailable):
            await breached.contains(Secret("password"))


async def test_a_list_that_is_away_refuses_or_lets_pass_as_settings_say():
    url = f"http://127.0.0.1:{servers.free_port()}/range"
    async with hibp(url) as closed, hibp(url, fail="open") as open_:
        with pytest.raises(Unavailable):
            await closed.contains(Secret("password"))
        assert await open_.contains(Secret("password")) is False
