"""Who would be affected by another definition, over sample contexts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from tradesense.core.flags.models import Evaluation

MAX_SAMPLES = 10_000


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one sample is served, and would be."""

    sample: int
    """Its position among the samples."""
    before: Evaluation
    after: Evaluation


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a definition would change."""

    samples: int
    changed: int
    before: dict[str, int]
    """How many are served each variant; the empty name stands for none."""
    after: dict[str, int]
    examples: tuple[Change, ...]
    """The first hundred changes."""


EXAMPLES = 100


def compared(before: Sequence[Evaluation], after: Sequence[Evaluation]) -> Preview:
    """The preview of two evaluations of the same samples."""
    changes = [
        Change(sample=at, before=one, after=other)
        for at, (one, other) in enumerate(zip(before, after, strict=True))
        if (one.variant, one.value) != (other.variant, other.value)
    ]
    return Preview(
        samples=len(before),
        changed=len(changes),
        before=_counts(before),
        after=_counts(after),
        examples=tuple(changes[:EXAMPLES]),
    )


def _counts(found: Sequence[Evaluation]) -> dict[str, int]:
    return dict(sorted(Counter(one.variant or "" for one in found).items()))
