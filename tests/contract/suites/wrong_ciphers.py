"""Ciphers that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import pytest

from tradesense.adapters.local.secrets import AesGcm
from tradesense.core.errors import DecryptionFailed
from tradesense.core.testing import AeadContract

THREE_FOR_EACH_RULE = True


class Ciphers(AeadContract):
    """The local adapter, which is right; what is wrong is a subclass of it."""

    Cipher = AesGcm

    @pytest.fixture
    def adapter(self):
        return self.Cipher


class TestRightCipher(Ciphers):
    pass


class TestIgnoresThePlace(Ciphers):
    caught_by = (
        "test_another_key_nonce_or_place_does_not_open",
        "test_key_and_nonce_and_plaintext_all_count",
    )

    class Cipher(AesGcm):
        def seal(self, key, nonce, plaintext, associated):  # noqa: ARG002  # that is its fault
            return super().seal(key, nonce, plaintext, b"")

        def open(self, key, nonce, ciphertext, associated):  # noqa: ARG002  # that is its fault
            return super().open(key, nonce, ciphertext, b"")


class TestHasNoTag(Ciphers):
    caught_by = (
        "test_changed_bytes_do_not_open",
        "test_the_ciphertext_carries_a_tag_and_hides_the_plaintext",
        "test_another_key_nonce_or_place_does_not_open",
        "test_key_and_nonce_and_plaintext_all_count",
        "test_keys_and_nonces_of_a_wrong_length_do_not_open",
        "test_an_opener_opens_what_its_key_has_sealed_and_nothing_else",
    )

    class Cipher(AesGcm):
        def seal(self, key, nonce, plaintext, associated):
            return super().seal(key, nonce, plaintext, associated)[:-16]

        def open(self, key, nonce, ciphertext, associated):
            # In counter mode sealing a ciphertext gives the plaintext back.
            return super().seal(key, nonce, ciphertext, associated)[:-16]


class TestIgnoresTheNonce(Ciphers):
    caught_by = (
        "test_key_and_nonce_and_plaintext_all_count",
        "test_another_key_nonce_or_place_does_not_open",
        "test_keys_and_nonces_of_a_wrong_length_do_not_open",
    )

    class Cipher(AesGcm):
        def seal(self, key, nonce, plaintext, associated):  # noqa: ARG002  # that is its fault
            return super().seal(key, bytes(12), plaintext, associated)

        def open(self, key, nonce, ciphertext, associated):  # noqa: ARG002  # that is its fault
            return super().open(key, bytes(12), ciphertext, associated)


class TestPadsShortKeys(Ciphers):
    caught_by = ("test_keys_and_nonces_of_a_wrong_length_do_not_open",)

    class Cipher(AesGcm):
        def open(self, key, nonce, ciphertext, associated):
            return super().open((key + bytes(32))[:32], nonce[:12], ciphertext, associated)


class TestRaisesForWhatIsTooShort(Ciphers):
    caught_by = ("test_changed_bytes_do_not_open",)

    class Cipher(AesGcm):
        def open(self, key, nonce, ciphertext, associated):
            if len(ciphertext) < 16:
                raise IndexError("there is no tag")
            return super().open(key, nonce, ciphertext, associated)


class TestHasOneOpenerForAllKeys(Ciphers):
    caught_by = ("test_an_opener_opens_what_its_key_has_sealed_and_nothing_else",)

    class Cipher(AesGcm):
        made = None

        def open(self, key, nonce, ciphertext, associated):
            return AesGcm().open(key, nonce, ciphertext, associated)

        def opener(self, key):
            self.made = self.made or super().opener(key)
            return self.made


class TestOpensAnywhere(Ciphers):
    caught_by = ("test_an_opener_opens_what_its_key_has_sealed_and_nothing_else",)

    class Cipher(AesGcm):
        def open(self, key, nonce, ciphertext, associated):
            return AesGcm().open(key, nonce, ciphertext, associated)

        def opener(self, key):
            opener = super().opener(key)
            return lambda nonce, ciphertext, _: opener(nonce, ciphertext, b"place")


class TestTakesNoNoticeOfTheLastByte(Ciphers):
    caught_by = ("test_changed_bytes_do_not_open",)

    class Cipher(AesGcm):
        def seal(self, key, nonce, plaintext, associated):
            return super().seal(key, nonce, plaintext, associated) + b"."

        def open(self, key, nonce, ciphertext, associated):
            return super().open(key, nonce, ciphertext[:-1], associated)


class TestShowsThePlaintextBesideIt(Ciphers):
    caught_by = ("test_the_ciphertext_carries_a_tag_and_hides_the_plaintext",)

    class Cipher(AesGcm):
        def seal(self, key, nonce, plaintext, associated):
            return super().seal(key, nonce, plaintext, associated) + plaintext


class TestHasAShortTag(Ciphers):
    caught_by = ("test_the_ciphertext_carries_a_tag_and_hides_the_plaintext", "test_what_is_sealed_opens")

    class Cipher(AesGcm):
        def seal(self, key, nonce, plaintext, associated):
            return super().seal(key, nonce, plaintext, associated)[:-4]


class TestStripsZerosOfThePlaintext(Ciphers):
    caught_by = ("test_what_is_sealed_opens",)

    class Cipher(AesGcm):
        def open(self, key, nonce, ciphertext, associated):
            return super().open(key, nonce, ciphertext, associated).rstrip(b"\0")


class TestRefusesAnEmptyPlaintext(Ciphers):
    caught_by = ("test_what_is_sealed_opens",)

    class Cipher(AesGcm):
        def open(self, key, nonce, ciphertext, associated):
            if len(ciphertext) == 16:
                raise DecryptionFailed
            return super().open(key, nonce, ciphertext, associated)
