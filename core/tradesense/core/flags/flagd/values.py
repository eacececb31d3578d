"""How JsonLogic reads values: JavaScript's truth, equality and conversions, without its exceptions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

NOT_A_NUMBER = math.nan


def truthy(value: Any) -> bool:
    """An empty list is false, an empty object is true (JsonLogic, "truthy and falsy")."""
    if isinstance(value, dict):
        return True
    if isinstance(value, float) and math.isnan(value):
        return False
    return bool(value)


def number(value: Any) -> float:
    """The number that ``value`` is or spells; not-a-number where it does neither."""
    if isinstance(value, str):
        return _spelled(value)
    if value is None:
        return 0.0
    if isinstance(value, bool | int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return NOT_A_NUMBER


LONGEST_NUMBER = 400
"""Characters of a text that may spell a number."""


def _spelled(text: str) -> float:
    if len(text) > LONGEST_NUMBER:
        return NOT_A_NUMBER
    stripped = text.strip()
    if not stripped:
        return 0.0
    if "_" in stripped or not (stripped[-1].isdigit() or stripped[-1] == "."):
        return NOT_A_NUMBER  # Python reads 1_0, inf and nan as numbers
    try:
        return float(stripped)
    except ValueError:
        return NOT_A_NUMBER


def plain(value: float) -> float | int | None:
    """A result as JSON knows it: whole where it is whole, ``None`` where it is no number."""
    if not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else value  # the sum of nothing is an int


def text(value: Any) -> str:
    """How ``value`` is written in a longer text."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(plain(number(value)))
    if isinstance(value, list):
        return ",".join("" if isinstance(one, list) else text(one) for one in cast("Sequence[Any]", value))
    return "[object Object]"


def same(one: Any, other: Any) -> bool:
    """JavaScript's ``===`` for what JSON can hold; two lists or objects are never the same."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    return one is None and other is None


def equal(one: Any, other: Any) -> bool:
    """JavaScript's ``==``: unlike texts, numbers and booleans are compared as numbers."""
    if one is None or other is None:
        return one is other
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    return number(one) == number(other)


def ordered(one: Any, other: Any, compare: Callable[[Any, Any], bool]) -> bool:
    """Two texts by their characters, all else as numbers; not-a-number compares with nothing."""
    if isinstance(one, str) and isinstance(other, str):
        return compare(one, other)
    return compare(number(one), number(other))
