"""The contracts of what encrypts: keys that wrap keys, and the cipher."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import DecryptionFailed, InvalidInput, SecretStoreUnavailable
from tradesense.core.secrets.models import WrappedKey
from tradesense.core.secrets.ports import Aead, KeyEncryption, KeyRing
from tradesense.core.testing.base import Contract, Make, eventually, fresh, opened, requires, together
from tradesense.core.testing.checks import Calls, interrupt, refuse_when_closed, refuse_when_unreachable

CONTEXT = {"namespace": "tests", "path": "team-a/db/password", "version": "7"}
WRAPPING: Calls = {
    "wrap": lambda keys: keys.wrap(bytes(32), CONTEXT),
    "unwrap": lambda keys: keys.unwrap(WrappedKey(key_id="k", blob=b"x" * 60), CONTEXT),
}
TURNING: Calls = {
    "keys": lambda keys: keys.keys(),
    "rotate": lambda keys: keys.rotate(),
    "retire": lambda keys: keys.retire("k"),
}


class KeyEncryptionContract(Contract):
    """What every :class:`KeyEncryption` must do. All adapters that the fixture makes hold the same keys."""

    port = KeyEncryption
    extensions = {Capability.KEY_RING: KeyRing}  # noqa: RUF012  # the base declares it as a ClassVar

    @pytest.fixture
    def unreachable(self) -> Make[KeyEncryption] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_a_wrapped_key_is_unwrapped_in_its_context(self, adapter: Make[KeyEncryption]) -> None:
        async with opened(adapter()) as keys:
            for data_key in (secrets.token_bytes(32), bytes(32), b"\xff" * 32):
                assert await keys.unwrap(await keys.wrap(data_key, CONTEXT), CONTEXT) == data_key

    async def test_the_order_of_the_context_does_not_count(self, adapter: Make[KeyEncryption]) -> None:
        async with opened(adapter()) as keys:
            data_key = secrets.token_bytes(32)
            wrapped = await keys.wrap(data_key, CONTEXT)
            assert await keys.unwrap(wrapped, dict(reversed(CONTEXT.items()))) == data_key

    async def test_an_empty_and_a_unicode_context_are_contexts(self, adapter: Make[KeyEncryption]) -> None:
        async with opened(adapter()) as keys:
            data_key = secrets.token_bytes(32)
            for context in ({}, {"é": "漢字 𝄞"}, {"a": ""}):
                assert await keys.unwrap(await keys.wrap(data_key, context), context) == data_key

    @pytest.mark.parametrize(
        "other",
        [
            {},
            {"namespace": "tests", "path": "team-a/db/password"},
            CONTEXT | {"version": "8"},
            CONTEXT | {"path": "team-a/db/password2"},
            CONTEXT | {"more": ""},
            {"namespace": "team-a/db/password", "path": "tests", "version": "7"},
            {"namespacetests": "", "path": "team-a/db/password", "version": "7"},
        ],
        ids=["empty", "one less", "other version", "other path", "one more", "swapped", "shifted"],
    )
    async def test_another_context_does_not_unwrap(self, adapter: Make[KeyEncryption], other: dict[str, str]) -> None:
        async with opened(adapter()) as keys:
            wrapped = await keys.wrap(secrets.token_bytes(32), CONTEXT)
            with pytest.raises(DecryptionFailed):
                await keys.unwrap(wrapped, other)

    async def test_changed_bytes_do_not_unwrap(self, adapter: Make[KeyEncryption]) -> None:
        async with opened(adapter()) as keys:
            wrapped = await keys.wrap(secrets.token_bytes(32), CONTEXT)
            blob = wrapped.blob
            changed = [blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in range(len(blob))]
            for bad in [*changed, b"", blob[:-1], blob[1:], blob[:8], blob + b"\x00"]:
                with pytest.raises(DecryptionFailed):
                    await keys.unwrap(WrappedKey(key_id=wrapped.key_id, blob=bad), CONTEXT)

    async def test_another_key_does_not_unwrap(self, adapter: Make[KeyEncryption]) -> None:
        async with opened(adapter()) as keys:
            wrapped = await keys.wrap(secrets.token_bytes(32), CONTEXT)
            for other in ("", fresh("unknown"), f"{wrapped.key_id}x"):
                with pytest.raises(DecryptionFailed):
                    await keys.unwrap(WrappedKey(key_id=other, blob=wrapped.blob), CONTEXT)

    async def test_a_wrapped_key_names_its_key_and_hides_the_data_key(self, adapter: Make[KeyEncryption]) -> None:
        async with opened(adapter()) as keys:
            data_key = secrets.token_bytes(32)
            first, second = await keys.wrap(data_key, CONTEXT), await keys.wrap(data_key, CONTEXT)
            assert first.key_id
            assert first.key_id == second.key_id
            assert data_key not in first.blob
            assert data_key.hex().encode() not in first.blob

    async def test_another_adapter_unwraps_as_well(self, adapter: Make[KeyEncryption]) -> None:
        data_key = secrets.token_bytes(32)
        async with opened(adapter()) as keys:
            wrapped = await keys.wrap(data_key, CONTEXT)
        async with opened(adapter()) as keys:
            assert await keys.unwrap(wrapped, CONTEXT) == data_key

    async def test_many_keys_at_once_are_not_mixed_up(self, adapter: Make[KeyEncryption]) -> None:
        async with opened(adapter()) as keys:
            data_keys = [secrets.token_bytes(32) for _ in range(30)]

            async def there_and_back(number: int) -> bytes:
                context = CONTEXT | {"version": f"{number}"}
                return await keys.unwrap(await keys.wrap(data_keys[number], context), context)

            assert await together(30, there_and_back) == data_keys

    async def test_a_cancelled_call_leaves_it_usable(self, adapter: Make[KeyEncryption]) -> None:
        async with opened(adapter()) as keys:
            data_key = secrets.token_bytes(32)
            wrapped = await keys.wrap(data_key, CONTEXT)
            await interrupt(lambda: keys.wrap(data_key, CONTEXT))
            await interrupt(lambda: keys.unwrap(wrapped, CONTEXT))
            assert await together(20, lambda _: keys.unwrap(wrapped, CONTEXT), seconds=self.patience) == [data_key] * 20

    @requires(Capability.KEY_RING)
    async def test_a_new_key_wraps_and_the_old_ones_go_on_unwrapping(self, adapter: Make[KeyRing]) -> None:
        async with opened(adapter()) as keys, opened(adapter()) as other:
            data_key = secrets.token_bytes(32)
            old = await keys.wrap(data_key, CONTEXT)
            assert await self._current(keys) == old.key_id
            made = await keys.rotate()
            new = await keys.wrap(data_key, CONTEXT)
            assert new.key_id == made != old.key_id
            assert await self._current(keys) == made
            for ring in (keys, other):
                for wrapped in (old, new):
                    assert await ring.unwrap(wrapped, CONTEXT) == data_key

    @requires(Capability.KEY_RING)
    async def test_others_wrap_with_a_new_key_soon(self, adapter: Make[KeyRing]) -> None:
        async with opened(adapter()) as keys, opened(adapter()) as other:
            await other.wrap(bytes(32), CONTEXT)
            made = await keys.rotate()

            async def followed() -> bool:
                """The other adapter wraps with the new key."""
                return (await other.wrap(bytes(32), CONTEXT)).key_id == made

            await eventually(followed, seconds=self.patience)

    @requires(Capability.KEY_RING)
    async def test_a_retired_key_unwraps_no_more(self, adapter: Make[KeyRing]) -> None:
        async with opened(adapter()) as keys:
            old = await keys.wrap(bytes(32), CONTEXT)
            await keys.rotate()
            new = await keys.wrap(bytes(32), CONTEXT)
            await keys.retire(old.key_id)
            assert old.key_id not in {key.key_id for key in await keys.keys()}
            with pytest.raises(DecryptionFailed):
                await keys.unwrap(old, CONTEXT)
            assert await keys.unwrap(new, CONTEXT) == bytes(32)
        async with opened(adapter()) as keys:
            with pytest.raises(DecryptionFailed):
                await keys.unwrap(old, CONTEXT)
            assert await keys.unwrap(new, CONTEXT) == bytes(32)

    @requires(Capability.KEY_RING)
    async def test_only_an_old_key_that_is_there_can_be_retired(self, adapter: Make[KeyRing]) -> None:
        async with opened(adapter()) as keys:
            await keys.rotate()
            current = await self._current(keys)
            for wrong in (current, fresh("unknown"), ""):
                with pytest.raises(InvalidInput):
                    await keys.retire(wrong)
            wrapped = await keys.wrap(bytes(32), CONTEXT)
            assert (wrapped.key_id, await keys.unwrap(wrapped, CONTEXT)) == (current, bytes(32))

    def _calls(self) -> Calls:
        return {**WRAPPING, **TURNING} if Capability.KEY_RING in self.capabilities else WRAPPING

    async def _current(self, keys: KeyRing) -> str:
        found = await keys.keys()
        assert len({key.key_id for key in found}) == len(found)
        (current,) = [key.key_id for key in found if key.current]
        assert current == found[-1].key_id, "the keys are listed oldest first, and the newest wraps"
        return current

    async def test_a_closed_adapter_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), self._calls())

    async def test_an_unreachable_provider_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        await refuse_when_unreachable(unreachable, SecretStoreUnavailable, self._calls())


class AeadContract(Contract):
    """What every :class:`Aead` must do: a 32-byte key, a 12-byte nonce, and nothing opens that was touched."""

    port = Aead

    @pytest.mark.parametrize("plaintext", [b"", b"x", bytes(range(256)), b"\x00" * 65_536], ids=len)
    @pytest.mark.parametrize("associated", [b"", b"place", bytes(1000)], ids=len)
    async def test_what_is_sealed_opens(self, adapter: Make[Aead], plaintext: bytes, associated: bytes) -> None:
        aead, key, nonce = adapter(), secrets.token_bytes(32), secrets.token_bytes(12)
        sealed = aead.seal(key, nonce, plaintext, associated)
        assert aead.open(key, nonce, sealed, associated) == plaintext

    async def test_the_ciphertext_carries_a_tag_and_hides_the_plaintext(self, adapter: Make[Aead]) -> None:
        plaintext = b"correct horse battery staple"
        sealed = adapter().seal(secrets.token_bytes(32), secrets.token_bytes(12), plaintext, b"")
        assert len(sealed) >= len(plaintext) + 16, "there is no room for a tag of 128 bits"
        assert plaintext not in sealed

    async def test_key_and_nonce_and_plaintext_all_count(self, adapter: Make[Aead]) -> None:
        aead, key, nonce = adapter(), secrets.token_bytes(32), secrets.token_bytes(12)
        sealed = {
            aead.seal(key, nonce, bytes(32), b""),
            aead.seal(secrets.token_bytes(32), nonce, bytes(32), b""),
            aead.seal(key, secrets.token_bytes(12), bytes(32), b""),
            aead.seal(key, nonce, bytes(31) + b"\x01", b""),
            aead.seal(key, nonce, bytes(32), b"place"),
        }
        assert len(sealed) == 5

    async def test_another_key_nonce_or_place_does_not_open(self, adapter: Make[Aead]) -> None:
        aead, key, nonce = adapter(), secrets.token_bytes(32), secrets.token_bytes(12)
        sealed = aead.seal(key, nonce, b"value", b"place")
        for other in (
            (secrets.token_bytes(32), nonce, sealed, b"place"),
            (key, secrets.token_bytes(12), sealed, b"place"),
            (key, nonce, sealed, b"place2"),
            (key, nonce, sealed, b""),
            (key, nonce, sealed, b"place" + bytes(1)),
        ):
            with pytest.raises(DecryptionFailed):
                aead.open(*other)

    async def test_changed_bytes_do_not_open(self, adapter: Make[Aead]) -> None:
        aead, key, nonce = adapter(), secrets.token_bytes(32), secrets.token_bytes(12)
        sealed = aead.seal(key, nonce, b"value", b"place")
        for at in range(len(sealed)):
            for mask in (1, 0x80):
                changed = sealed[:at] + bytes([sealed[at] ^ mask]) + sealed[at + 1 :]
                with pytest.raises(DecryptionFailed):
                    aead.open(key, nonce, changed, b"place")
        for bad in (*(sealed[:length] for length in range(len(sealed))), sealed + b"\x00", sealed[1:], bytes(1)):
            with pytest.raises(DecryptionFailed):
                aead.open(key, nonce, bad, b"place")

    async def test_keys_and_nonces_of_a_wrong_length_do_not_open(self, adapter: Make[Aead]) -> None:
        aead, key, nonce = adapter(), secrets.token_bytes(32), secrets.token_bytes(12)
        sealed = aead.seal(key, nonce, b"value", b"")
        for wrong in (b"", key[:16], key[:31], key + b"x"):
            with pytest.raises(DecryptionFailed):
                aead.open(wrong, nonce, sealed, b"")
        for wrong in (b"", nonce[:8], nonce[:11], nonce + b"x"):
            with pytest.raises(DecryptionFailed):
                aead.open(key, wrong, sealed, b"")

    async def test_an_opener_opens_what_its_key_has_sealed_and_nothing_else(self, adapter: Make[Aead]) -> None:
        aead, key, nonce = adapter(), secrets.token_bytes(32), secrets.token_bytes(12)
        sealed = aead.seal(key, nonce, b"value", b"place")
        opener, other = aead.opener(key), aead.opener(secrets.token_bytes(32))
        assert [opener(nonce, sealed, b"place") for _ in range(3)] == [b"value"] * 3
        with pytest.raises(DecryptionFailed):
            other(nonce, sealed, b"place")
        for wrong in (
            (secrets.token_bytes(12), sealed, b"place"),
            (nonce[:11], sealed, b"place"),
            (nonce, sealed, b"place2"),
            (nonce, sealed[:-1], b"place"),
            (nonce, bytes([sealed[0] ^ 1]) + sealed[1:], b"place"),
        ):
            with pytest.raises(DecryptionFailed):
                opener(*wrong)
        for no_key in (b"", key[:16], key[:31], key + b"x"):
            with pytest.raises(DecryptionFailed):
                aead.opener(no_key)
