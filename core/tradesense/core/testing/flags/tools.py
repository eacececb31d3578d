"""The contracts of what the engine is lent: patterns and the hash of buckets."""

from __future__ import annotations

import pytest

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.murmur import encoded, murmur3
from tradesense.core.flags.ports import BucketHash, Patterns
from tradesense.core.testing.base import Contract, Make

LONG = 100_000
HASHES = {
    "": 0,
    "a": 0x3C2569B2,
    "abc": 0xB3DD93FA,
    "hello": 0x248BFA47,
    "hello, world": 0x149BBB7F,
}
"""Published values of MurmurHash3, x86, 32 bits, seed 0."""


class PatternsContract(Contract):
    """What every :class:`Patterns` must do."""

    port = Patterns

    @pytest.mark.parametrize(
        ("pattern", "text", "found"),
        [
            ("b", "abc", True),
            ("^b", "abc", False),
            ("^a.c$", "abc", True),
            ("", "", True),
            ("é+", "caféé", True),
            (r"^\w+@example\.org$", "me@example.org", True),
            (r"^\w+@example\.org$", "me@example.org.evil", False),
            ("(?i)ABC", "xabcx", True),
            ("x", "\ud800", False),
        ],
    )
    async def test_a_pattern_is_found_anywhere(
        self, adapter: Make[Patterns], pattern: str, text: str, *, found: bool
    ) -> None:
        assert adapter().compile(pattern)(text) is found

    @pytest.mark.parametrize("pattern", ["(", "[", "a**", r"(a)\1", "(?=a)", "a" * 1025, "\ud800"])
    async def test_what_is_no_pattern_is_refused(self, adapter: Make[Patterns], pattern: str) -> None:
        with pytest.raises(InvalidFlag):
            adapter().compile(pattern)

    @pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|aa)*$", "(a*)*b", "(.*)*x"])
    async def test_an_evil_pattern_takes_time_that_grows_with_the_text_alone(
        self, adapter: Make[Patterns], pattern: str
    ) -> None:
        adapter().compile(pattern)("a" * LONG + "!")

    async def test_a_pattern_that_takes_much_memory_is_refused(self, adapter: Make[Patterns]) -> None:
        with pytest.raises(InvalidFlag):
            adapter().compile("((x{1,100}){1,100}){1,100}")


class BucketHashContract(Contract):
    """What every :class:`BucketHash` must do: give the published numbers."""

    port = BucketHash

    async def test_the_numbers_are_the_published_ones(self, adapter: Make[BucketHash]) -> None:
        hash32 = adapter()
        assert {text: hash32(encoded(text)) for text in HASHES} == HASHES

    async def test_it_is_the_same_for_any_text(self, adapter: Make[BucketHash]) -> None:
        hash32 = adapter()
        for length in range(40):
            for text in ("x" * length, "é漢𝄞"[: length % 4] * length, str(7**length)):
                assert hash32(encoded(text)) == murmur3(encoded(text))

    async def test_it_takes_up_the_whole_range(self, adapter: Make[BucketHash]) -> None:
        found = [adapter()(f"user-{number}".encode()) for number in range(1000)]
        assert all(0 <= one < 2**32 for one in found)
        assert max(found) > 2**31, "the numbers are signed, or cut"
