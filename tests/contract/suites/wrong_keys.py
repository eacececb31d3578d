"""Key encryption and ciphers that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import base64

import pytest
from msgspec.structs import replace

from tradesense.adapters.local.secrets import AesGcm, LocalKeyEncryption
from tradesense.adapters.local.settings import LocalKeySettings
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.capabilities import Capability
from tradesense.core.errors import AdapterClosed, DecryptionFailed, InvalidInput
from tradesense.core.secrets import KeyStatus, WrappedKey
from tradesense.core.sensitive import Secret
from tradesense.core.testing import AeadContract, Contract, KeyEncryptionContract

# --- keys ------------------------------------------------------------------------------------------------------------


class Keys(KeyEncryptionContract):
    """The local adapter, which is right; what is wrong is a subclass of it."""

    capabilities = frozenset({Capability.KEY_RING})
    patience = 0.1
    Encryption = LocalKeyEncryption

    @pytest.fixture
    def settings(self, tmp_path):
        return LocalKeySettings(root_key=Secret(base64.b64encode(bytes(32))), ring_file=f"{tmp_path}/ring.json")

    @pytest.fixture
    def adapter(self, settings):
        return lambda: self.Encryption(settings, random=SystemRandom(), clock=SystemClock())


class TestRightKeys(Keys):
    patience = Contract.patience


class TestIgnoresTheContext(Keys):
    caught_by = ("test_another_context_does_not_unwrap",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):  # noqa: ARG002  # that is its fault
            return b""


class TestRunsNamesAndValuesTogether(Keys):
    caught_by = ("test_another_context_does_not_unwrap",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):  # noqa: ARG002  # not its only fault
            return "".join(name + value for name, value in sorted(context.items())).encode()


class TestTakesTheContextAsItComes(Keys):
    caught_by = ("test_the_order_of_the_context_does_not_count",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):  # noqa: ARG002  # not its only fault
            return repr(list(context.items())).encode()


class TestIgnoresTheKeysName(Keys):
    caught_by = ("test_another_key_does_not_unwrap",)

    class Encryption(LocalKeyEncryption):
        async def unwrap(self, wrapped, context):
            return await super().unwrap(replace(wrapped, key_id=self._current()), context)


class TestStandsBeforeTheKey(Keys):
    """It wraps nothing: the data key stands in the blob, behind a check of the context."""

    caught_by = ("test_a_wrapped_key_names_its_key_and_hides_the_data_key", "test_changed_bytes_do_not_unwrap")

    class Encryption(LocalKeyEncryption):
        async def wrap(self, data_key, context):
            self._opened()
            return WrappedKey(key_id=self._current(), blob=data_key + self._associated(self._current(), context))

        async def unwrap(self, wrapped, context):
            self._opened()
            if wrapped.blob[32:] != self._associated(wrapped.key_id, context) or wrapped.key_id not in self._keys:
                raise DecryptionFailed
            return wrapped.blob[:32]


class TestMakesAKeyOfItsOwn(Keys):
    caught_by = ("test_another_adapter_unwraps_as_well",)

    @pytest.fixture
    def adapter(self):
        def make():
            settings = LocalKeySettings(root_key=Secret(base64.b64encode(SystemRandom().bytes(32))))
            return self.Encryption(settings, random=SystemRandom(), clock=SystemClock())

        return make


class TestLeaksTheCiphersError(Keys):
    caught_by = ("test_changed_bytes_do_not_unwrap", "test_another_context_does_not_unwrap")

    class Encryption(LocalKeyEncryption):
        async def unwrap(self, wrapped, context):
            try:
                return await super().unwrap(wrapped, context)
            except DecryptionFailed as error:
                raise ValueError("MAC check failed") from error


class TestKeysAreNeverClosed(Keys):
    caught_by = ("test_a_closed_adapter_says_so",)

    class Encryption(LocalKeyEncryption):
        def _opened(self):
            try:
                return super()._opened()
            except AdapterClosed:
                return bytes(32)


# --- the ring --------------------------------------------------------------------------------------------------------


class TestForgetsTheOldKeyWhenItRotates(Keys):
    caught_by = ("test_a_new_key_wraps_and_the_old_ones_go_on_unwrapping",)

    class Encryption(LocalKeyEncryption):
        async def rotate(self):
            old = self._current()
            made = await super().rotate()
            await self.retire(old)
            return made


class TestGoesOnWrappingWithTheOldKey(Keys):
    caught_by = ("test_a_new_key_wraps_and_the_old_ones_go_on_unwrapping",)

    class Encryption(LocalKeyEncryption):
        def _current(self):
            return self._key_id


class TestNamesNoCurrentKey(Keys):
    caught_by = ("test_a_new_key_wraps_and_the_old_ones_go_on_unwrapping",)

    class Encryption(LocalKeyEncryption):
        async def keys(self):
            return tuple(replace(key, current=False) for key in await super().keys())


class TestKeepsItsKeysToItself(Keys):
    """It looks at the file when it is opened and never again."""

    caught_by = (
        "test_others_wrap_with_a_new_key_soon",
        "test_a_new_key_wraps_and_the_old_ones_go_on_unwrapping",
    )

    class Encryption(LocalKeyEncryption):
        async def _known(self, wanted=None):  # noqa: ARG002  # that is its fault
            self._opened()
            return self._keys


class TestUnwrapsWithRetiredKeys(Keys):
    caught_by = ("test_a_retired_key_unwraps_no_more",)

    class Encryption(LocalKeyEncryption):
        async def _known(self, wanted=None):
            return self._given | await super()._known(wanted)


class TestForgetsThatItRetiredAKey(Keys):
    caught_by = ("test_a_retired_key_unwraps_no_more",)

    class Encryption(LocalKeyEncryption):
        async def retire(self, key_id):
            if key_id == self._current() or key_id not in self._keys:
                raise InvalidInput("it cannot be retired")
            self._keys.pop(key_id)


class TestListsRetiredKeys(Keys):
    caught_by = ("test_a_retired_key_unwraps_no_more",)

    class Encryption(LocalKeyEncryption):
        async def keys(self):
            gone = tuple(KeyStatus(key_id=key_id, current=False) for key_id in self._ring.retired)
            return (*gone, *await super().keys())


class TestRetiresTheCurrentKey(Keys):
    caught_by = ("test_only_an_old_key_that_is_there_can_be_retired",)

    class Encryption(LocalKeyEncryption):
        async def retire(self, key_id):
            if key_id == self._current():
                self._keys.pop(key_id)
                return
            await super().retire(key_id)


class TestSaysNothingOfKeysThatAreNotThere(Keys):
    caught_by = ("test_only_an_old_key_that_is_there_can_be_retired",)

    class Encryption(LocalKeyEncryption):
        async def retire(self, key_id):
            if key_id in {key.key_id for key in await self.keys()}:
                await super().retire(key_id)


# --- the cipher ------------------------------------------------------------------------------------------------------


class Ciphers(AeadContract):
    """The local adapter, which is right; what is wrong is a subclass of it."""

    Cipher = AesGcm

    @pytest.fixture
    def adapter(self):
        return self.Cipher


class TestRightCipher(Ciphers):
    pass


class TestIgnoresThePlace(Ciphers):
    caught_by = ("test_another_key_nonce_or_place_does_not_open",)

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
    )

    class Cipher(AesGcm):
        def seal(self, key, nonce, plaintext, associated):
            return super().seal(key, nonce, plaintext, associated)[:-16]

        def open(self, key, nonce, ciphertext, associated):
            # In counter mode sealing a ciphertext gives the plaintext back.
            return super().seal(key, nonce, ciphertext, associated)[:-16]


class TestIgnoresTheNonce(Ciphers):
    caught_by = ("test_key_and_nonce_and_plaintext_all_count", "test_another_key_nonce_or_place_does_not_open")

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
