"""Semantic versions (semver.org 2.0.0), with the leniency of flagd: a leading ``v``, and missing parts as 0."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

MAX_VERSION = 256
"""Characters."""

_VERSION = re.compile(
    r"[vV]?(?P<major>0|[1-9][0-9]*)(?:\.(?P<minor>0|[1-9][0-9]*))?(?:\.(?P<patch>0|[1-9][0-9]*))?"
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)

Identifier = tuple[int, int, str]
Version = tuple[int, int, int, int, tuple[Identifier, ...]]
"""Major, minor, patch, whether it is a release, and the parts of a pre-release; build metadata do not count."""


def parse(value: Any) -> Version | None:
    """The version that a text or a number spells, or ``None``."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, int) and value.bit_length() > MAX_VERSION:
        return None
    text = str(value)
    if len(text) > MAX_VERSION or (found := _VERSION.fullmatch(text)) is None:
        return None
    major, minor, patch, pre = found.group("major", "minor", "patch", "pre")
    parts = tuple(_identifier(part) for part in pre.split(".")) if pre else ()
    return int(major), int(minor or 0), int(patch or 0), int(not parts), parts


def _identifier(part: str) -> Identifier:
    """Numbers come before words, and compare as numbers."""
    return (0, int(part), "") if part.isdigit() else (1, 0, part)


COMPARISONS: dict[str, Callable[[Version, Version], bool]] = {
    "version_equal": lambda one, other: one == other,
    "version_less": lambda one, other: one < other,
    "version_greater": lambda one, other: one > other,
    "version_minor": lambda one, other: one[:2] == other[:2],
    "version_major": lambda one, other: one[0] == other[0],
}
"""``version_minor``: the same major and minor version, as ``~``; ``version_major``: the same major one, as ``^``."""


def compared(name: str, values: tuple[Any, ...]) -> Callable[[Any], bool]:
    """How a version compares with any of ``values``."""
    compare = COMPARISONS[name]
    bounds = tuple(bound for bound in map(parse, values) if bound is not None)

    def holds(value: Any) -> bool:
        version = parse(value)
        return version is not None and any(compare(version, bound) for bound in bounds)

    return holds
