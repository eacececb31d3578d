"""What stands in the shared store: only what this release wrote is read."""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.core.cache.compression import Zlib
from tradesense.core.cache.envelope import FORMAT, Codec, Envelope, Unreadable, _immutable, seal, unseal
from tradesense.core.cache.models import MAX_VALUE


def codec(kind=bytes, over=100):
    zlib_ = Zlib()
    return Codec(kind, compressor=zlib_, known={"zlib": zlib_}, over=over)


def envelope(packing="", payload=b"\xc4\x01v"):
    return Envelope(
        created=1.0,
        ttl=2.0,
        expires=3.0,
        keeps=4.0,
        sliding=0.0,
        eager=0.0,
        tags=("a",),
        etag='"1"',
        modified="",
        packing=packing,
        payload=payload,
    )


@given(st.binary(max_size=2000))
def test_values_come_back(value):
    ours = codec()
    plain, packing, payload = ours.encode(value)
    opened = unseal(seal(envelope(packing, payload)))
    assert ours.unpack(opened) == plain
    assert ours.decode(plain) == value


def test_large_values_are_packed_and_small_or_dense_ones_are_not():
    assert codec().encode(b"a" * 1000)[1] == "zlib"
    assert codec().encode(b"a" * 10)[1] == ""
    dense = os.urandom(1000)
    assert codec(over=1).encode(dense)[1] == ""


@given(st.binary(max_size=300))
def test_bytes_of_anybody_are_refused_and_do_no_harm(data):
    for given_ in (data, bytes((FORMAT,)) + data):
        try:
            opened = unseal(given_)
        except Unreadable:
            continue
        try:
            codec().decode(codec().unpack(opened))
        except Unreadable:
            continue


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_harmless(place, change):
    data = bytearray(seal(envelope()))
    data[place % len(data)] ^= change
    with suppress(Unreadable):
        codec().decode(codec().unpack(unseal(bytes(data))))


def test_a_later_format_is_refused():
    with pytest.raises(Unreadable, match="format 2"):
        unseal(bytes((FORMAT + 1,)) + seal(envelope())[1:])


@pytest.mark.parametrize(
    ("packing", "payload"),
    [
        ("zlib", b"garbage"),
        ("zlib", zlib.compress(b"whole")[:-3]),
        ("zlib", zlib.compress(bytes(MAX_VALUE + 1))),
        ("later", b""),
    ],
    ids=["damaged", "cut short", "a bomb", "unknown"],
)
def test_a_packing_that_cannot_be_undone_is_refused(packing, payload):
    with pytest.raises(Unreadable):
        codec().unpack(envelope(packing, payload))


def test_a_value_of_another_type_is_refused():
    with pytest.raises(Unreadable):
        codec(int).decode(codec(str).encode("text")[0])


class Frozen(msgspec.Struct, frozen=True):
    tags: tuple[str, ...]
    kind: Literal["a", "b"]
    parent: int | None = None


class Open(msgspec.Struct):
    number: int


class Holds(msgspec.Struct, frozen=True):
    inner: list[int]


@pytest.mark.parametrize("kind", [bytes, str, int, bool, Frozen, tuple[int, ...], int | None, datetime, frozenset[int]])
def test_what_cannot_be_changed_is_shared(kind):
    assert _immutable(kind)


@pytest.mark.parametrize(
    "kind", [list[int], dict[str, int], set[int], Open, Holds, tuple[Open, ...], object, bytearray]
)
def test_what_can_be_changed_is_not(kind):
    assert not _immutable(kind)


def test_times_come_back():
    ours = codec(datetime)
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert ours.decode(ours.encode(moment)[0]) == moment
