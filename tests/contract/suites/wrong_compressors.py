"""Compressors that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import bz2
import zlib

import pytest

from tradesense.core.cache.compression import Zlib
from tradesense.core.testing import CompressorContract


class Compressors(CompressorContract):
    """Each holds one."""

    __test__ = False

    @pytest.fixture
    def adapter(self):
        return self.Adapter


class TestZlib(Compressors):
    __test__ = True
    Adapter = Zlib


class TestBelievesWhatTheDataClaims(Compressors):
    __test__ = True
    caught_by = ("test_no_more_comes_out_than_may",)

    class Adapter(Zlib):
        def decompress(self, data, limit):
            return super().decompress(data, max(limit, 2**40))


class TestTakesWhatIsThere(Compressors):
    __test__ = True
    caught_by = ("test_what_is_cut_short_is_damaged",)

    class Adapter(Zlib):
        def decompress(self, data, limit):
            try:
                plain = zlib.decompressobj().decompress(data, limit + 1)
            except zlib.error as error:
                raise ValueError from error
            if len(plain) > limit:
                raise ValueError
            return plain


class TestHasNoChecksum(Compressors):
    __test__ = True
    caught_by = ("test_a_changed_byte_is_noticed",)

    class Adapter(Zlib):
        def compress(self, data):
            packer = zlib.compressobj(1, zlib.DEFLATED, -15)
            return packer.compress(data) + packer.flush()

        def decompress(self, data, limit):
            stream = zlib.decompressobj(-15)
            try:
                plain = stream.decompress(data, limit + 1)
            except zlib.error as error:
                raise ValueError from error
            if len(plain) > limit or not stream.eof:
                raise ValueError
            return plain


class TestRaisesItsOwnError(Compressors):
    __test__ = True
    caught_by = ("test_what_it_has_not_packed_is_damaged",)

    class Adapter(Zlib):
        def decompress(self, data, limit):
            plain = zlib.decompress(data)
            if len(plain) > limit:
                raise ValueError
            return plain


class TestMakesNothingSmaller(Compressors):
    __test__ = True
    caught_by = ("test_what_repeats_itself_gets_smaller",)

    class Adapter(Zlib):
        def compress(self, data):
            return zlib.compress(data, 0)


class TestHasNoNameForAnEntry(Compressors):
    __test__ = True
    caught_by = ("test_its_name_can_stand_in_an_entry",)

    class Adapter(Zlib):
        name = "ZLIB, the best"


class TestPacksInAnotherWayThanItUnpacks(Compressors):
    __test__ = True
    caught_by = ("test_what_is_packed_comes_back",)

    class Adapter(Zlib):
        def compress(self, data):
            return bz2.compress(data)
