"""flagd's own operators. What they cannot make sense of is ``null``, and then the default variant is served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from tradesense.core.flags import versions
from tradesense.core.flags.buckets import subject_of
from tradesense.core.flags.flagd.frame import CHARACTERS, Frame
from tradesense.core.flags.flagd.operators import Operator
from tradesense.core.flags.models import FIRST, SUBJECT
from tradesense.core.flags.murmur import encoded
from tradesense.core.flags.ports import BucketHash

MOST_WEIGHT = 2**31 - 1
HALF, FULL = 2**31, 2**32
TWO, THREE = 2, 3

_COMPARISONS: dict[str, Callable[[versions.Version, versions.Version], bool]] = {
    "=": versions.COMPARISONS["version_equal"],
    "!=": lambda one, other: one != other,
    "<": versions.COMPARISONS["version_less"],
    "<=": lambda one, other: one <= other,
    ">": versions.COMPARISONS["version_greater"],
    ">=": lambda one, other: one >= other,
    "~": versions.COMPARISONS["version_minor"],
    "^": versions.COMPARISONS["version_major"],
}


def _affix(*, start: bool) -> Operator:
    def tested(_: Frame, arguments: list[Any]) -> bool | None:
        if len(arguments) != TWO:
            return None
        whole, part = arguments
        if not isinstance(whole, str) or not isinstance(part, str):
            return None
        return whole.startswith(part) if start else whole.endswith(part)

    return tested


def _sem_ver(_: Frame, arguments: list[Any]) -> bool | None:
    if len(arguments) != THREE:
        return None
    one, compare, other = versions.parse(arguments[0]), arguments[1], versions.parse(arguments[2])
    found = _COMPARISONS.get(compare) if isinstance(compare, str) else None
    return None if one is None or other is None or found is None else found(one, other)


def fractional(flag_key: str, generation: int, hash32: BucketHash) -> Operator:
    """Shares by weight, in the first or the second generation of flagd's bucketing."""
    place = _first if generation == FIRST else _second

    def shared(frame: Frame, arguments: list[Any]) -> Any:
        key, entries = _split(flag_key, frame, arguments)
        shares = [_share(entry) for entry in entries]
        weights = [share[1] for share in shares if share is not None]
        total = sum(weights)
        if key is None or len(weights) < len(shares) or not 0 < total <= MOST_WEIGHT:
            return None
        frame.spend(len(key) // CHARACTERS)
        at = place(hash32(encoded(key)), weights, total)
        chosen = shares[at] if at is not None else None
        return chosen[0] if chosen is not None else None

    return shared


def _split(flag_key: str, frame: Frame, arguments: list[Any]) -> tuple[str | None, list[Any]]:
    """What is hashed, and the shares. Without a key of its own it is the flag's key and the targeting key."""
    if arguments and not isinstance(arguments[0], list):
        return subject_of(arguments[0]), arguments[1:]
    subject = frame.root.get(SUBJECT)
    return (flag_key + subject if isinstance(subject, str) and subject else None), arguments


def _share(entry: Any) -> tuple[Any, int] | None:
    """Variant and weight. Weights below 0 come from calculations that overshoot, and count as 0."""
    if not isinstance(entry, list):
        return None
    parts = cast("Sequence[Any]", entry)
    if len(parts) == 1:
        return parts[0], 1
    if len(parts) != TWO or isinstance(parts[1], bool) or not isinstance(parts[1], int):
        return None
    return parts[0], max(0, parts[1])


def _second(hashed: int, weights: list[int], total: int) -> int | None:
    bucket, upper = hashed * total >> 32, 0
    for at, weight in enumerate(weights):
        upper += weight
        if bucket < upper:
            return at
    return None


def _first(hashed: int, weights: list[int], total: int) -> int | None:
    signed = hashed if hashed < HALF else hashed - FULL
    bucket, upper = abs(signed) / MOST_WEIGHT * 100, 0.0
    for at, weight in enumerate(weights):
        upper += weight * 100 / total
        if bucket < upper:
            return at
    return None


CUSTOM: dict[str, Operator] = {
    "starts_with": _affix(start=True),
    "ends_with": _affix(start=False),
    "sem_ver": _sem_ver,
}
