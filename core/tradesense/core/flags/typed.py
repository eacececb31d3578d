"""The type that a caller expects (OpenFeature specification, requirement 1.3.4)."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from tradesense.core.flags.models import ErrorCode, Evaluation, FlagValue, Reason

Expected = Literal["boolean", "string", "integer", "float", "object"]


def fits(value: FlagValue, expected: Expected) -> bool:
    """Whether ``value`` is of the type. A whole number is a float as well; JSON does not tell them apart."""
    match expected:
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "object":
            return isinstance(value, dict | list)


def typed(found: Evaluation, expected: Expected) -> Evaluation:
    """The evaluation as it is where its value fits or the caller's default applies; else a type mismatch."""
    if found.variant is None or fits(found.value, expected):
        return found
    return replace(
        found,
        value=None,
        variant=None,
        reason=Reason.ERROR,
        error_code=ErrorCode.TYPE_MISMATCH,
        error_details=f"the value of {found.key!r} is not of the type {expected}",
    )
