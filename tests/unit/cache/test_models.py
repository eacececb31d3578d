"""What may be a cache key and a cached value."""

from __future__ import annotations

import pytest

from tradesense.core.cache.models import MAX_KEY, MAX_VALUE, check_key, check_value
from tradesense.core.errors import CacheValueTooLarge, InvalidCacheKey


@pytest.mark.parametrize("key", ["a", " ", "user:7:profile", "é漢字𝄞", "\u2028", "x" * MAX_KEY, "𝄞" * MAX_KEY])
def test_a_valid_key_is_returned_as_it_is(key):
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * (MAX_KEY + 1), "a\n", "\x00", "a\x1fb", "\x7f", "\r\n", "\ud800", "a\udfff"])
def test_any_other_key_is_refused(key):
    with pytest.raises(InvalidCacheKey):
        check_key(key)


def test_the_largest_value_fits_and_one_more_byte_does_not():
    assert check_value(b"") == b""
    assert len(check_value(bytes(MAX_VALUE))) == MAX_VALUE
    with pytest.raises(CacheValueTooLarge):
        check_value(bytes(MAX_VALUE + 1))
