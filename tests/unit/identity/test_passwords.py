"""Which passwords are refused, and why."""

from __future__ import annotations

import unicodedata

import pytest

from tradesense.adapters.memory.identity import MemoryBreachedPasswords
from tradesense.core.errors import InvalidEmail, PasswordRefused
from tradesense.core.identity import emails, passwords
from tradesense.core.identity.models import IdentityPolicy
from tradesense.core.sensitive import Secret

EMAIL = "alice.smith@corporate.example"
MARKS = "\u0301\u0327"


BREACHED = MemoryBreachedPasswords(["swordfish swordfisher"])


async def reason(text, *, policy=None):
    try:
        secret = passwords.normalise(Secret(text))
        await passwords.check(secret, email=EMAIL, policy=policy or IdentityPolicy(), breached=BREACHED)
    except PasswordRefused as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize(
    "text",
    [
        " " * 15,
        "a" * 20,
        "aAaAaAaAaAaAaAaA",
        "abcabcabcabcabc",
        "passwordpassword",
        "PasswordpassworD",
        "passwordpasswor",
        "123456789012345",
        "qwertyqwertyqwerty",
        "short unit short unit ",
        "\u00e9\u00e9\u00e8\u00e8\u00e9\u00e9\u00e8\u00e8\u00e9\u00e9\u00e8\u00e8\u00e9\u00e9\u00e8\u00e8",
        "swordfish swordfisher",
    ],
)
async def test_R04_what_repeats_itself_or_is_known_is_common(text):
    assert await reason(text) == "common"


@pytest.mark.parametrize(
    "text",
    [
        "alice.smith@corporate.example",
        "alice.smith@corporate.example2024",
        "2024alice.smith!!",
        "AliceSmith123456",
        "alicesmithalicesmith",
        "tradesense123456",
        "TradeSense-TradeSense",
        "corporate-smith-1999",
        "hello tradesense",
    ],
)
async def test_R04_the_names_that_everyone_can_guess_are_contextual(text):
    assert await reason(text) == "contextual"


@pytest.mark.parametrize(
    "text",
    [
        "correct horse battery staple",
        "correct horse battery staple" * 2,
        "horse battery horse",
        "abcde fghij klmn",
        "alice likes marmalade",
        "alice 839201748392017483",
        "tradesense is my favourite",
        "\u043f\u0430\u0440\u043e\u043b\u044c \u0438\u0437 \u0441\u043b\u043e\u0432\u0430",
    ],
)
async def test_R04_what_is_left_may_stand_on_its_own(text):
    assert await reason(text) is None


async def test_R02_lengths_are_counted_in_code_points_after_composing():
    assert await reason("x" * 14) == "too-short"
    assert await reason("e\u0301bcdefghijklmn") == "too-short"
    assert await reason("x" * 257) == "too-long"
    assert await reason("\U0001f600" * 5000) == "too-long"


async def test_R02_a_policy_that_takes_shorter_ones_is_followed():
    assert await reason("gh7kq2wz", policy=IdentityPolicy(password_min=8)) is None
    assert await reason("abc1abc1", policy=IdentityPolicy(password_min=8)) == "common"


@pytest.mark.timeout(60)  # composing all of it would take minutes
async def test_R02_a_text_of_a_million_marks_is_refused_and_not_composed():
    assert await reason(MARKS * 500_000) == "too-long"
    with pytest.raises(InvalidEmail, match="at most 254"):
        emails.normalise(f"a@{MARKS * 500_000}.example")


def test_R02_every_password_that_policy_takes_is_composed():
    text = unicodedata.normalize("NFD", "\u1f82" * 256)
    assert passwords.normalise(Secret(text)).reveal() == "\u1f82" * 256
