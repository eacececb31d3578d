"""Tests of instants: RFC 3339 texts, or numbers of seconds since 1970."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

MAX_DATE = 40
"""Characters."""


def parse(value: Any) -> float | None:
    """Seconds since 1970, or ``None``. A text without an offset is in UTC."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or len(value) > MAX_DATE:
        return None
    try:
        instant = datetime.fromisoformat(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def compared(name: str, bound: Any) -> Callable[[Any], bool]:
    """Whether an instant is ``before`` or ``after`` the ``bound``."""
    limit, before = parse(bound), name == "before"

    def holds(value: Any) -> bool:
        instant = parse(value)
        if instant is None or limit is None:
            return False
        return instant < limit if before else instant > limit

    return holds
