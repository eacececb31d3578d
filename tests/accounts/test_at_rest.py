"""What lets somebody in stands nowhere in what the platform keeps: the database and the cache hold digests of it."""

from __future__ import annotations

import base64
import re

import pytest
from talking import PASSWORD, Talker
from test_links import AUTH

from leftovers import cached, dumped, hits


def kept(place):
    """All that the database and the cache of a served platform hold."""
    if hasattr(place, "database_url"):
        return {"database": dumped(place.database_url), "cache": cached(place.redis_url)}
    files = sorted((place.folder / "var").glob("tradesense.db*"))
    return {"database": b"".join(file.read_bytes() for file in files)}


def stands_in(token, content):
    """Whether it is there as it is typed, or as the random bytes that it is made of."""
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    return bool(hits(content, [token])) or raw in content or raw.hex().encode() in content


def test_R11_what_opens_a_session_is_256_random_bits_and_kept_as_a_digest_alone(place, person, anyone):
    login = {"email": person.email, "password": PASSWORD, "mode": "token"}
    pair = anyone.post(f"{AUTH}/login", json=login).json()
    for _ in range(3):  # so that every process has it in its cache
        assert anyone.get(f"{AUTH}/session", headers={"Authorization": f"Bearer {pair['access_token']}"}).is_success
        assert person.get(f"{AUTH}/session").is_success
    body = {"name": "at rest", "scopes": ["flags:evaluate"]}
    key = person.send_proved("POST", "/api/v1/api-keys", json=body).json()["key"]
    session = person.cookies.get("session")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", session)
    secret = {
        "session": session,
        "refresh": pair["refresh_token"],
        "API key": key.removeprefix("tsk_"),
    }
    user = person.get(f"{AUTH}/session").json()["user"]["id"]
    assert all(len(token) >= 43 for token in secret.values())
    places = kept(place)
    assert user.encode() in places["database"], "what is looked through holds the account"
    found = {(what, where) for what, token in secret.items() for where in places if stands_in(token, places[where])}
    assert not found


@pytest.mark.parametrize("hide", [str.encode, lambda token: base64.urlsafe_b64decode(token + "=").hex().encode()])
def test_a_token_that_was_kept_would_be_found(hide):
    token = base64.urlsafe_b64encode(bytes(range(200, 232))).decode().rstrip("=")
    assert stands_in(token, b"INSERT " + hide(token) + b";")


def test_R11_no_uuid_is_taken_for_a_secret(place, person):
    session = person.get(f"{AUTH}/session").json()["session"]["id"]
    with Talker(place.url) as thief:
        thief.cookies.set("session", session)
        assert thief.get(f"{AUTH}/session").status_code == 401
        assert thief.get(f"{AUTH}/session", headers={"Authorization": f"Bearer {session}"}).status_code == 401
