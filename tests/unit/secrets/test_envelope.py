"""An envelope opens in its own place, unchanged, with its own key; and nowhere else."""

from __future__ import annotations

import json
import secrets
from functools import partial

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradesense.core.errors import DecryptionFailed
from tradesense.core.secrets.datakeys import DataKeys
from tradesense.core.secrets.envelope import DATA_KEY_BYTES, NONCE_BYTES, Envelope, Sealer
from tradesense.core.secrets.models import WrappedKey
from tradesense.core.sensitive import Secret
from tradesense.core.testing import ManualClock

VALUE = Secret("correct horse battery staple")


class AesGcm:
    """Real AES-256-GCM."""

    def seal(self, key, nonce, plaintext, associated):
        return AESGCM(key).encrypt(nonce, plaintext, associated)

    def open(self, key, nonce, ciphertext, associated):
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, associated)
        except (InvalidTag, ValueError) as error:
            raise DecryptionFailed("it does not open") from error

    def opener(self, key):
        return partial(self.open, key)


class Keys:
    """Key encryption with real AES-256-GCM, under named keys."""

    def __init__(self, current="k1", *, bound=True, **keys):
        self.keys = keys or {"k1": secrets.token_bytes(32)}
        self.current = current
        self.bound = bound

    async def wrap(self, data_key, context):
        nonce = secrets.token_bytes(12)
        wrapped = AESGCM(self.keys[self.current]).encrypt(nonce, data_key, self._associated(self.current, context))
        return WrappedKey(key_id=self.current, blob=nonce + wrapped)

    async def unwrap(self, wrapped, context):
        key = self.keys.get(wrapped.key_id)
        if key is None or len(wrapped.blob) < 12:
            raise DecryptionFailed("the key is unknown")
        return AesGcm().open(key, wrapped.blob[:12], wrapped.blob[12:], self._associated(wrapped.key_id, context))

    def _associated(self, key_id, context):
        return json.dumps([key_id, context if self.bound else {}], sort_keys=True).encode()


class SystemRandom:
    def bytes(self, count):
        return secrets.token_bytes(count)


class CountingRandom:
    """Takes note of what was asked for."""

    def __init__(self):
        self.given = []

    def bytes(self, count):
        self.given.append(secrets.token_bytes(count))
        return self.given[-1]


def sealer(keys, *, namespace="production", random=None, remembered=None):
    random = random or SystemRandom()
    return Sealer(keys=keys, aead=AesGcm(), random=random, namespace=namespace, remembered=remembered)


@pytest.fixture(params=["bound", "unbound"])
def keys(request):
    """A key provider that holds to the context, and one that ignores it: the associated data must do alone."""
    return Keys(bound=request.param == "bound")


async def test_R50_a_value_comes_back_from_its_own_place(keys):
    blob = await sealer(keys).seal("a/b", 7, VALUE)
    assert await sealer(keys).open("a/b", 7, blob) == VALUE


@pytest.mark.parametrize("value", [b"", b"\x00\xff" * 40, b"x" * 65_536])
async def test_R50_any_bytes_come_back(keys, value):
    blob = await sealer(keys).seal("a", 1, Secret(value))
    assert (await sealer(keys).open("a", 1, blob)).reveal_bytes() == value


async def test_R50_a_row_copied_over_another_does_not_open(keys):
    blob = await sealer(keys).seal("a", 1, VALUE)
    with pytest.raises(DecryptionFailed):
        await sealer(keys).open("b", 1, blob)


async def test_R50_an_earlier_version_put_back_does_not_open(keys):
    blob = await sealer(keys).seal("a", 1, VALUE)
    with pytest.raises(DecryptionFailed):
        await sealer(keys).open("a", 2, blob)


async def test_R50_another_deployments_row_does_not_open(keys):
    blob = await sealer(keys).seal("a", 1, VALUE)
    with pytest.raises(DecryptionFailed):
        await sealer(keys, namespace="staging").open("a", 1, blob)


async def test_R50_path_and_version_cannot_flow_into_each_other(keys):
    blob = await sealer(keys).seal("a/1", 1, VALUE)
    with pytest.raises(DecryptionFailed):
        await sealer(keys).open("a", 11, blob)


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
async def test_R50_no_byte_can_be_changed(keys, mask):
    one = sealer(keys)
    blob = await one.seal("a/b", 3, VALUE)
    for place in range(len(blob)):
        changed = bytearray(blob)
        changed[place] ^= mask
        with pytest.raises(DecryptionFailed):
            await one.open("a/b", 3, bytes(changed))


async def test_R50_no_byte_can_be_cut_off_or_added(keys):
    one = sealer(keys)
    blob = await one.seal("a", 1, VALUE)
    for length in range(len(blob)):
        with pytest.raises(DecryptionFailed):
            await one.open("a", 1, blob[:length])
    with pytest.raises(DecryptionFailed):
        await one.open("a", 1, blob + b"\x00")


@pytest.mark.parametrize(
    "changes",
    [
        {"key_id": ""},
        {"key_id": "k2"},
        {"wrapped_key": b""},
        {"nonce": b""},
        {"nonce": bytes(NONCE_BYTES)},
        {"ciphertext": b""},
        {"format": 0},
        {"format": 2},
    ],
)
async def test_R50_no_field_can_be_stripped_or_replaced(changes):
    keys = Keys(k1=secrets.token_bytes(32), k2=secrets.token_bytes(32))
    envelope = msgspec.msgpack.decode(await sealer(keys).seal("a", 1, VALUE), type=Envelope)
    with pytest.raises(DecryptionFailed):
        await sealer(keys).open("a", 1, msgspec.msgpack.encode(msgspec.structs.replace(envelope, **changes)))


async def test_R50_a_key_id_is_bound_even_where_two_ids_name_one_key():
    key = secrets.token_bytes(32)

    class Aliased(Keys):
        def _associated(self, *_):
            return b""

    keys = Aliased(k1=key, k2=key)
    envelope = msgspec.msgpack.decode(await sealer(keys).seal("a", 1, VALUE), type=Envelope)
    renamed = msgspec.structs.replace(envelope, key_id="k2")
    with pytest.raises(DecryptionFailed):
        await sealer(keys).open("a", 1, msgspec.msgpack.encode(renamed))


async def test_R50_every_version_gets_a_key_and_a_nonce_of_its_own(keys):
    random = CountingRandom()
    one = sealer(keys, random=random)
    for version in range(1, 6):
        await one.seal("a", version, VALUE)
    assert [len(given) for given in random.given] == [DATA_KEY_BYTES, NONCE_BYTES] * 5
    assert len(set(random.given)) == 10


async def test_after_a_change_of_keys_old_envelopes_still_open():
    keys = Keys(k1=secrets.token_bytes(32), k2=secrets.token_bytes(32))
    old = await sealer(keys).seal("a", 1, VALUE)
    keys.current = "k2"
    new = await sealer(keys).seal("a", 2, VALUE)
    assert await sealer(keys).open("a", 1, old) == VALUE
    assert await sealer(keys).open("a", 2, new) == VALUE


async def test_neither_value_nor_data_key_is_in_the_envelope(keys):
    random = CountingRandom()
    blob = await sealer(keys, random=random).seal("a", 1, VALUE)
    assert VALUE.reveal_bytes() not in blob
    assert random.given[0] not in blob


async def test_the_error_tells_the_place_and_not_the_value(keys):
    blob = await sealer(keys).seal("a", 1, VALUE)
    with pytest.raises(DecryptionFailed) as caught:
        await sealer(keys).open("a", 1, blob[:-1])
    assert VALUE.reveal() not in caught.value.line()


class Asked(Keys):
    """Counts how often it unwraps."""

    unwrapped = 0

    async def unwrap(self, wrapped, context):
        self.unwrapped += 1
        return await super().unwrap(wrapped, context)


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def remembering(asked, clock):
    """A sealer that holds two data keys for ten seconds, and what it holds."""
    async with DataKeys(now=clock.monotonic, most=2, seconds=10) as held:
        yield sealer(asked, remembered=held), held


async def test_a_value_that_is_read_again_does_not_ask_the_key_provider(asked, remembering):
    sealing, held = remembering
    blob = await sealing.seal("a/b", 1, VALUE)
    assert [await sealing.open("a/b", 1, blob) for _ in range(5)] == [VALUE] * 5
    assert (asked.unwrapped, len(held)) == (1, 1)


async def test_R50_a_remembered_key_opens_its_own_place_only(asked, remembering):
    sealing, _ = remembering
    blob = await sealing.seal("a/b", 1, VALUE)
    await sealing.open("a/b", 1, blob)
    for path, version in (("a/b", 2), ("a/c", 1)):
        with pytest.raises(DecryptionFailed):
            await sealing.open(path, version, blob)
    fields = msgspec.msgpack.decode(blob)
    fields[4] = bytes([fields[4][0] ^ 1]) + fields[4][1:]
    with pytest.raises(DecryptionFailed):
        await sealing.open("a/b", 1, msgspec.msgpack.encode(fields))
    assert asked.unwrapped == 3


async def test_what_does_not_open_is_not_remembered(remembering):
    sealing, held = remembering
    fields = msgspec.msgpack.decode(await sealing.seal("a/b", 1, VALUE))
    fields[4] = fields[4][:-1]
    with pytest.raises(DecryptionFailed):
        await sealing.open("a/b", 1, msgspec.msgpack.encode(fields))
    assert len(held) == 0


async def test_data_keys_are_held_for_a_while_and_no_more_than_so_many(asked, remembering, clock):
    sealing, held = remembering
    blobs = {path: await sealing.seal(path, 1, VALUE) for path in ("a", "b", "c")}
    for path, blob in blobs.items():
        await sealing.open(path, 1, blob)
    assert len(held) == 2
    await sealing.open("a", 1, blobs["a"])
    assert asked.unwrapped == 4
    clock.advance(9.9)
    await sealing.open("a", 1, blobs["a"])
    assert asked.unwrapped == 4
    clock.advance(0.2)
    await sealing.open("a", 1, blobs["a"])
    assert (asked.unwrapped, len(held)) == (5, 1)


async def test_once_closed_no_data_key_is_held(asked, clock):
    held = DataKeys(now=clock.monotonic)
    sealing = sealer(asked, remembered=held)
    blob = await sealing.seal("a", 1, VALUE)
    async with held:
        await sealing.open("a", 1, blob)
        assert len(held) == 1
    assert len(held) == 0
    assert await sealing.open("a", 1, blob) == VALUE
    assert len(held) == 0


async def test_R52_data_keys_are_not_shown(remembering):
    sealing, held = remembering
    await sealing.open("a", 1, await sealing.seal("a", 1, VALUE))
    assert "Opener" not in repr(held)
    with pytest.raises(TypeError):
        json.dumps(held)
