"""Tokens of Fernet are opened as its specification says, by keys or by what these were derived from."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import contracted
from tradesense.adapters.local._fernet import derived
from tradesense.core.errors import ConfigurationError, DecryptionFailed
from tradesense.core.secrets import SecretStore
from tradesense.core.sensitive import Secret
from tradesense.core.testing import ManualClock

KEY = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
SEALED_AT = 499_162_800
TOKEN = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="
"""The specification's own key, time and token, for the text `hello` and an IV of the bytes 0 to 15."""
CANARY = "canary-of-another-system"


@pytest.fixture
def opening(tmp_path):
    """Open a file of tokens, and read one."""

    async def run(tokens, path="a", *, now=SEALED_AT + 1, **settings):
        file = tmp_path / "tokens.json"
        file.write_text(tokens if isinstance(tokens, str) else json.dumps(tokens))
        clock = ManualClock(datetime.fromtimestamp(now, UTC))
        given = {"file": str(file), "keys": {"k": Secret(KEY)}} | settings
        manifest = contracted.manifest("local", SecretStore)
        async with contracted.build(manifest, contracted.context(clock), **given) as store:
            return await store.get(path)

    return run


def signed(body):
    """A token of these bytes with a signature that holds."""
    signature = hmac.digest(base64.urlsafe_b64decode(KEY)[:16], body, hashlib.sha256)
    return base64.urlsafe_b64encode(body + signature).decode()


def sealed(padded, *, at=SEALED_AT, iv=bytes(range(16))):
    """A token of a plaintext that is padded already, or wrongly."""
    encryptor = Cipher(algorithms.AES(base64.urlsafe_b64decode(KEY)[16:]), modes.CBC(iv)).encryptor()
    return signed(b"\x80" + at.to_bytes(8, "big") + iv + encryptor.update(padded) + encryptor.finalize())


PADDED = b"hello" + bytes([11]) * 11
BODY = base64.urlsafe_b64decode(TOKEN)[:-32]
INVALID = {
    "another signature": base64.urlsafe_b64encode(BODY + bytes(32)).decode(),
    "too short": "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==",
    "no base64": TOKEN[:20] + "%" + TOKEN[21:-1],
    "no text of ours": "\u00e9\u2603",
    "empty": "",
    "another version": signed(b"\x81" + BODY[1:]),
    "no whole blocks": signed(BODY[:-1]),
    "wrong padding": sealed(b"hello" + bytes(11)),
    "another IV": signed(BODY[:24] + b"\x00" + BODY[25:]),
    "far in the future": sealed(PADDED, at=SEALED_AT + 3600),
    "expired": sealed(PADDED, at=SEALED_AT - 3600),
}


def test_the_tokens_of_these_tests_are_made_as_the_specification_makes_them():
    assert sealed(PADDED) == TOKEN
    assert Fernet(KEY).decrypt(TOKEN) == b"hello"


async def test_the_specifications_token_is_opened_and_says_when_it_was_sealed(opening):
    found = await opening({"a": TOKEN}, max_age=60)
    assert (found.value, found.version) == (Secret("hello"), 1)
    assert found.created_at == datetime(1985, 10, 26, 1, 20, tzinfo=UTC) + timedelta(hours=7)


@pytest.mark.parametrize("token", INVALID.values(), ids=INVALID)
async def test_what_the_specification_calls_invalid_is_refused(opening, token):
    with pytest.raises(DecryptionFailed):
        await opening({"a": token}, max_age=60)


async def test_ages_count_only_where_they_are_bounded(opening):
    for token in (INVALID["expired"], INVALID["far in the future"], sealed(PADDED, at=2**64 - 1)):
        assert (await opening({"a": token})).value == Secret("hello")
    assert (await opening({"a": sealed(PADDED, at=SEALED_AT + 59)}, max_age=60, now=SEALED_AT)).value == Secret("hello")


async def test_any_of_several_keys_opens_a_token(opening):
    older, newer = Fernet.generate_key(), Fernet.generate_key()
    keys = {"new": Secret(newer), "old": Secret(older + b"\n")}
    for key in (older, newer):
        found = await opening({"a": Fernet(key).encrypt(CANARY.encode()).decode()}, keys=keys)
        assert found.value == Secret(CANARY)


async def test_a_wrong_key_is_told_without_what_it_is(opening):
    with pytest.raises(DecryptionFailed) as refused:
        await opening({"a": TOKEN}, keys={"k": Secret(Fernet.generate_key())})
    assert "no key opens the token of 'a'" in refused.value.line()
    assert TOKEN not in refused.value.line()


@pytest.mark.parametrize("key", ["", "short", CANARY, KEY[:-4], "*" * 44])
async def test_what_is_no_key_is_told_at_the_start(opening, key):
    with pytest.raises(ConfigurationError) as refused:
        await opening({"a": TOKEN}, keys={"k": Secret(key)})
    assert refused.value.origin == "secrets.fernet.keys.k"
    assert not key or key not in refused.value.line()


async def test_a_key_may_come_of_a_passphrase_with_one_salt_or_many(opening):
    passphrase, rounds = Secret("correct horse"), 1000
    tokens = {}
    for path, salt in (("a", b"salt_"), ("b", b"\x00\xff" * 8)):
        made = base64.urlsafe_b64encode(hashlib.pbkdf2_hmac("sha256", b"correct horse", salt, rounds, 32))
        tokens[path] = Fernet(made).encrypt(CANARY.encode()).decode()
    tokens["b"] = {"token": tokens["b"], "salt": base64.b64encode(b"\x00\xff" * 8).decode()}
    given = {"keys": {}, "passphrase": passphrase, "rounds": rounds}
    for salt in ("salt_", f"base64:{base64.b64encode(b'salt_').decode()}"):
        for path in tokens:
            assert (await opening(tokens, path, salt=salt, **given)).value == Secret(CANARY)
    for changed in ({"rounds": rounds + 1}, {"passphrase": Secret("wrong")}, {"salt": "pepper"}):
        with pytest.raises(DecryptionFailed):
            await opening(tokens, **{"salt": "salt_", **given, **changed})
    with pytest.raises(DecryptionFailed, match="not base64"):
        await opening({"a": {"token": TOKEN, "salt": "*"}}, **given)


@pytest.mark.parametrize(
    ("rounds", "wanted"),
    [
        (1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),
        (80_000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"),
    ],
)
def test_derivation_is_that_of_the_rfc(rounds, wanted):
    """RFC 7914, section 11, of which a key has the first half."""
    passphrase, salt = (b"passwd", b"salt") if rounds == 1 else (b"Password", b"NaCl")
    assert base64.urlsafe_b64decode(derived(Secret(passphrase), salt, rounds)).hex() == wanted


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[]", "JSON object"),
        ("{", "JSON object"),
        ("[" * 100_000, "JSON object"),
        ('{"a":1}', "JSON object"),
        ('{"a":{"token":"x","else":"y"}}', "JSON object"),
        ('{"a":"x","a":"y"}', "JSON object"),
        ('{"../a":"x"}', "not a secret path"),
        ('{"a\\u0000":"x"}', "not a secret path"),
    ],
)
async def test_a_file_of_another_form_is_told_at_the_start(opening, text, word):
    with pytest.raises(ConfigurationError) as refused:
        await opening(text)
    assert word in refused.value.detail
    assert refused.value.origin == "secrets.fernet.file"


async def test_an_absent_file_and_nothing_to_open_it_with_are_told(opening, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await opening({}, file=str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match="nothing is there"):
        await opening({}, keys={})
    with pytest.raises(ConfigurationError, match="not base64"):
        await opening({}, salt="base64:*")
