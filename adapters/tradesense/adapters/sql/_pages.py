"""Cutting ordered rows into pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tradesense.core.paging import Page

T = TypeVar("T")

LAST = "\U0010ffff"
"""The last code point: what begins with a prefix sorts before the prefix followed by this."""


def page(rows: Sequence[T], limit: int, name: Callable[[T], str]) -> Page[T]:
    """The page of the first ``limit`` rows; one more than that was read to know whether it is the last."""
    if len(rows) <= limit:
        return Page(items=tuple(rows))
    return Page(items=tuple(rows[:limit]), cursor=name(rows[limit - 1]))
