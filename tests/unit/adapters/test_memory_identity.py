"""The external login, the messages and the known passwords in memory."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from tradesense.adapters.memory.identity import MemoryBreachedPasswords, MemoryIdentityProvider, MemoryMessenger
from tradesense.adapters.system.ambient import SystemRandom
from tradesense.core.errors import CredentialsRefused, InvalidInput
from tradesense.core.identity.models import ExternalIdentity, Message
from tradesense.core.sensitive import Secret

# RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
WHO = ExternalIdentity(provider="memory", subject="1")
GOOD = {"code_verifier": VERIFIER, "nonce": "n", "redirect_uri": "https://app.example/callback"}


async def granted() -> tuple[MemoryIdentityProvider, str]:
    provider = MemoryIdentityProvider(random=SystemRandom())
    url = await provider.authorization_url(
        state="s", nonce="n", code_challenge=CHALLENGE, redirect_uri=GOOD["redirect_uri"]
    )
    query = parse_qs(urlsplit(url).query)
    assert (query["state"], query["code_challenge_method"]) == (["s"], ["S256"])
    return provider, provider.grant(WHO, query["code_challenge"][0])


async def test_a_code_is_good_for_one_exchange():
    provider, code = await granted()
    assert await provider.exchange(code=code, **GOOD) == WHO
    with pytest.raises(CredentialsRefused):
        await provider.exchange(code=code, **GOOD)


@pytest.mark.parametrize("wrong", ["code_verifier", "nonce", "redirect_uri"])
async def test_a_code_that_was_tried_for_another_request_is_spent(wrong: str):
    provider, code = await granted()
    with pytest.raises(CredentialsRefused):
        await provider.exchange(code=code, **GOOD | {wrong: "other"})
    with pytest.raises(CredentialsRefused):
        await provider.exchange(code=code, **GOOD)


async def test_nobody_logs_in_without_a_request():
    provider, _ = await granted()
    unknown = base64.urlsafe_b64encode(hashlib.sha256(b"x").digest()).decode()
    for challenge in (unknown, CHALLENGE):
        with pytest.raises(InvalidInput):
            provider.grant(WHO, challenge)


async def test_of_messages_with_one_key_the_first_is_kept():
    async with MemoryMessenger() as messenger:
        for number, key in enumerate(("a", "a", "", "", "b")):
            await messenger.send(Message(to="x@example.com", subject=str(number), text="", key=key))
        assert [message.subject for message in messenger.sent] == ["0", "2", "3", "4"]


async def test_known_passwords_are_compared_in_their_normal_form():
    breached = MemoryBreachedPasswords(["cafe\u0301 au lait"])
    assert await breached.contains(Secret("caf\u00e9 au lait"))
    assert not await breached.contains(Secret("cafe au lait"))
