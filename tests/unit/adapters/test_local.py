"""The root key in the settings, and what is refused in its place."""

from __future__ import annotations

import base64
import hashlib
import secrets

import msgspec
import pytest

from tradesense.adapters.local.secrets import ROUNDS, AesGcm, LocalKeyEncryption, _derive
from tradesense.adapters.local.settings import LocalKeySettings
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.errors import AdapterClosed, ConfigurationError, DecryptionFailed
from tradesense.core.secrets import WrappedKey
from tradesense.core.sensitive import Secret

KEY = bytes(range(32))
SALT = "this deployment's own"
CONTEXT = {"path": "a"}


def keys(root: str, **more: str) -> LocalKeyEncryption:
    return LocalKeyEncryption(
        LocalKeySettings(root_key=Secret(root), **more), random=SystemRandom(), clock=SystemClock()
    )


def test_aes_256_gcm_answers_its_published_vector():
    # NIST's GCM test vectors, test case 16 of the algorithm's submission.
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    plaintext = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    sealed = AesGcm().seal(key, nonce, plaintext, associated)
    assert sealed.hex() == (
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )
    assert AesGcm().open(key, nonce, sealed, associated) == plaintext


@pytest.mark.parametrize("lengths", [(16, 12), (24, 12), (32, 8), (32, 16)])
def test_other_keys_and_nonces_do_not_seal(lengths: tuple[int, int]):
    with pytest.raises(ValueError, match="32"):
        AesGcm().seal(bytes(lengths[0]), bytes(lengths[1]), b"", b"")


async def test_a_key_may_be_in_either_base64_alphabet_padded_or_not():
    random = secrets.token_bytes(31) + b"\xff"
    forms = [base64.b64encode(random), base64.urlsafe_b64encode(random)]
    forms += [form.rstrip(b"=") for form in forms] + [forms[0] + b"\n"]
    async with keys(forms[0].decode()) as first:
        wrapped = await first.wrap(KEY, CONTEXT)
    for form in forms:
        async with keys(form.decode()) as again:
            assert await again.unwrap(wrapped, CONTEXT) == KEY


def test_a_passphrase_is_derived_as_in_the_rfc(monkeypatch):
    """RFC 7914, section 11, for PBKDF2-HMAC-SHA256, of which a key has the first half."""
    monkeypatch.setattr("tradesense.adapters.local.secrets.ROUNDS", 80_000)
    wanted = "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
    assert _derive(Secret(b"Password"), b"NaCl").hex() == wanted


async def test_a_passphrase_is_derived_by_pbkdf2():
    derived = hashlib.pbkdf2_hmac("sha256", b"correct horse battery staple", SALT.encode(), ROUNDS)
    async with keys("correct horse battery staple", salt=SALT) as by_passphrase:
        wrapped = await by_passphrase.wrap(KEY, CONTEXT)
    async with keys(base64.b64encode(derived).decode()) as by_key:
        assert await by_key.unwrap(wrapped, CONTEXT) == KEY
    async with keys("correct horse battery staple", salt=f"{SALT}!") as other:
        with pytest.raises(DecryptionFailed):
            await other.unwrap(wrapped, CONTEXT)


@pytest.mark.parametrize(
    ("root", "salt", "origin"),
    [
        ("", SALT, "secrets.local.root_key"),
        ("abc!xyz", SALT, "secrets.local.root_key"),
        (base64.b64encode(bytes(10)).decode()[:14], SALT, "secrets.local.root_key"),
        ("correct horse battery staple", "", "secrets.local.salt"),
        ("correct horse battery staple", "short", "secrets.local.salt"),
        (bytes(32).hex(), "", "secrets.local.salt"),
    ],
)
def test_what_is_no_key_and_no_passphrase_is_refused(root: str, salt: str, origin: str):
    with pytest.raises(ConfigurationError) as caught:
        keys(root, salt=salt)
    assert caught.value.origin == origin
    assert not root or root not in caught.value.line()


async def test_the_key_is_gone_once_it_is_closed():
    encryption = keys(base64.b64encode(KEY).decode())
    async with encryption:
        wrapped = await encryption.wrap(KEY, CONTEXT)
    with pytest.raises(AdapterClosed):
        await encryption.unwrap(wrapped, CONTEXT)


async def test_a_key_of_another_name_is_told():
    async with keys(base64.b64encode(KEY).decode(), key_id="old") as old:
        wrapped = await old.wrap(KEY, CONTEXT)
    async with keys(base64.b64encode(KEY).decode(), key_id="new") as new:
        with pytest.raises(DecryptionFailed, match="'old'"):
            await new.unwrap(wrapped, CONTEXT)


async def test_what_was_wrapped_with_its_context_as_pairs_is_unwrapped_in_it_alone():
    async with keys(base64.b64encode(KEY).decode()) as encryption:
        key_id = (await encryption.wrap(bytes(32), CONTEXT)).key_id
        place = msgspec.msgpack.encode(("tradesense data key", key_id, sorted(CONTEXT.items())))
        old = WrappedKey(key_id=key_id, blob=bytes(12) + AesGcm().seal(KEY, bytes(12), b"data key", place))
        assert await encryption.unwrap(old, CONTEXT) == b"data key"
        with pytest.raises(DecryptionFailed):
            await encryption.unwrap(old, CONTEXT | {"more": ""})
