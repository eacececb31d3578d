"""The contract of compressors."""

from __future__ import annotations

import random
import re

import pytest

from tradesense.core.cache.models import MAX_VALUE
from tradesense.core.cache.ports import Compressor
from tradesense.core.testing.base import Contract, Make

_NAME = re.compile(r"[a-z0-9]{1,16}")


def _noise(count: int) -> bytes:
    return random.Random(1).randbytes(count)  # noqa: S311  # bytes that nothing makes smaller, the same each time


def _refuses(compressor: Compressor, data: bytes, limit: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the port says its class, not its text
        compressor.decompress(data, limit)


class CompressorContract(Contract):
    """What every :class:`Compressor` must do: give back what it was given, and never more than it may."""

    port = Compressor

    async def test_its_name_can_stand_in_an_entry(self, adapter: Make[Compressor]) -> None:
        assert _NAME.fullmatch(adapter().name)
        assert adapter().name == adapter().name

    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)), bytes(MAX_VALUE), _noise(100_000)], ids=len)
    async def test_what_is_packed_comes_back(self, adapter: Make[Compressor], data: bytes) -> None:
        assert adapter().decompress(adapter().compress(data), MAX_VALUE) == data

    async def test_what_repeats_itself_gets_smaller(self, adapter: Make[Compressor]) -> None:
        assert len(adapter().compress(b"a line like the one before\n" * 1_000)) < 5_000

    async def test_no_more_comes_out_than_may(self, adapter: Make[Compressor]) -> None:
        compressor = adapter()
        packed = compressor.compress(bytes(10_000))
        assert compressor.decompress(packed, 10_000) == bytes(10_000)
        for limit in (0, 9_999):
            _refuses(compressor, packed, limit)

    async def test_what_is_cut_short_is_damaged(self, adapter: Make[Compressor]) -> None:
        compressor = adapter()
        packed = compressor.compress(_noise(1_000))
        for kept in (0, 1, 10, len(packed) // 2, len(packed) - 1):
            _refuses(compressor, packed[:kept], MAX_VALUE)

    async def test_a_changed_byte_is_noticed(self, adapter: Make[Compressor]) -> None:
        compressor = adapter()
        data = b"a line like the one before\n" * 10
        packed = compressor.compress(data)
        for place in range(len(packed)):
            changed = bytearray(packed)
            changed[place] ^= 0x10
            try:
                assert compressor.decompress(bytes(changed), MAX_VALUE) == data, f"byte {place} was changed unnoticed"
            except ValueError:
                continue

    @pytest.mark.parametrize("data", [b"garbage", bytes(100), b"\xff" * 100, _noise(1_000)], ids=len)
    async def test_what_it_has_not_packed_is_damaged(self, adapter: Make[Compressor], data: bytes) -> None:
        _refuses(adapter(), data, MAX_VALUE)
