"""Cron expressions, as far as it takes to refuse one that means nothing."""

from __future__ import annotations

import re

from tradesense.core.errors import ConfigurationError

FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 6),
)
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d?))?")


def check(expression: str) -> None:
    """Go on only with five fields: ``*``, ``N`` or ``N-M``, with ``/STEP`` after ``*`` or ``N-M``, or a list of these.

    Days of the week have numbers from 0, which is Sunday, or three letters.

    :raises ConfigurationError: it is none; the message names the field.
    """
    fields = expression.split(" ")
    if len(fields) != len(FIELDS):
        raise ConfigurationError(f"the cron expression {expression!r} has not five fields", mend="write 30 4 * * 1-5")
    for text, (name, least, most) in zip(fields, FIELDS, strict=True):
        for part in text.split(","):
            if not _means_something(part, least, most, named=name == "day of the week"):
                raise ConfigurationError(
                    f"the cron expression {expression!r} has {part!r} as its {name}",
                    mend=f"use *, numbers from {least} to {most}, ranges, lists and steps",
                )


def _means_something(part: str, least: int, most: int, *, named: bool) -> bool:
    match = _PART.fullmatch(part)
    if match is None:
        return False
    first, last, step = match.groups()
    if first is None:
        return True
    if step and last is None:
        return False
    ends = [_number(text, named=named) for text in (first, last) if text is not None]
    return all(least <= end <= most for end in ends) and ends == sorted(ends)


def _number(text: str, *, named: bool) -> int:
    if named and text in DAYS:
        return DAYS.index(text)
    return int(text) if text.isascii() and text.isdecimal() else -1
