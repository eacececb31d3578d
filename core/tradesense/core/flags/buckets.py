"""Which of 100,000 buckets somebody falls into: the same in every process, on every platform, in every release.

A generation says how. It is part of a flag's definition, so that a better way never moves anyone.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from tradesense.core.flags.models import FIRST
from tradesense.core.flags.ports import BucketHash

BUCKETS = 100_000
LONGEST = 1_024
"""Characters of a subject from which on the second generation hashes its BLAKE2b digest in place of itself."""
EXACT = 2.0**53
"""Below it a whole number is the same text whether JSON wrote it as 1 or as 1.0."""

Bucket = Callable[[str], int]
"""From a subject to its bucket."""


def bucket(salt: str, subject: str) -> int:
    """The first generation: the first eight bytes of BLAKE2b over salt, NUL and subject."""
    digest = blake2b(f"{salt}\0{subject}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") * BUCKETS >> 64


def bucketing(salt: str, generation: int, hash32: BucketHash) -> Bucket:
    """The buckets under ``salt``.

    The second generation is MurmurHash3 (x86, 32 bits) of salt, slash and subject, scaled: what flagd's ``fractional``
    makes of the same text, so that a definition that is exported to it splits people alike.
    """
    if generation == FIRST:
        return lambda subject: bucket(salt, subject)
    prefix = f"{salt}/"

    def second(subject: str) -> int:
        if len(subject) > LONGEST:
            subject = blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return hash32((prefix + subject).encode("utf-8", "surrogatepass")) * BUCKETS >> 32

    return second


def subject_of(value: Any) -> str | None:
    """The text that stands for a text, a number or a boolean; ``None`` for what nobody can stick to."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= LONGEST else hex(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < EXACT else str(value)
    return None


def edge(percent: float) -> int:
    """How many of the buckets ``percent`` are."""
    return round(percent * BUCKETS / 100)
