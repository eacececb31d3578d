"""Tests of numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "less": operator.lt,
    "less_or_equal": operator.le,
    "greater": operator.gt,
    "greater_or_equal": operator.ge,
}


def ordered(name: str, bound: float) -> Callable[[Any], bool]:
    """How a number compares with ``bound``, which is not converted: an integer may be too large for a float."""
    compare = COMPARISONS[name]

    def holds(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and compare(value, bound)

    return holds
