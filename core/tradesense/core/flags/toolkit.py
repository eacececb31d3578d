"""What the engine is lent: a hash, a matcher of patterns, and the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.murmur import murmur3
from tradesense.core.flags.ports import BucketHash, Patterns, Search


class NoPatterns:
    """Knows no pattern. Definitions that have one are refused, and do not match where they are there already."""

    def compile(self, pattern: str) -> Search:
        """See :meth:`Patterns.compile`."""
        raise InvalidFlag(f"patterns need an engine, and none is installed: {pattern[:80]!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """The engine itself imports none of these, so that evaluation stays a function of what it is given."""

    now: Callable[[], float]
    """Seconds since 1970, for schedules. Flags without one never ask."""
    hash32: BucketHash = murmur3
    patterns: Patterns = field(default_factory=NoPatterns)


def at(instant: datetime, toolkit: Toolkit) -> Toolkit:
    """The toolkit as it is, at a fixed time: what would be served then."""
    seconds = instant.timestamp()
    return Toolkit(now=lambda: seconds, hash32=toolkit.hash32, patterns=toolkit.patterns)


EPOCH = Toolkit(now=lambda: datetime(2000, 1, 1, tzinfo=UTC).timestamp())
"""For checking a definition, where the time does not matter."""

_: type[Patterns] = NoPatterns
