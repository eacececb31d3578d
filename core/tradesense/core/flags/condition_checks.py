"""Which conditions can be tested, and what a test may cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags import dates, networks, versions
from tradesense.core.flags.faults import Faults
from tradesense.core.flags.keys import MAX_CONDITIONS, MAX_NAME, MAX_PATTERN, MAX_VALUES, check_key
from tradesense.core.flags.models import Condition
from tradesense.core.flags.ports import Patterns

_TEXTS = frozenset({"starts_with", "ends_with", "contains", "matches", "in_network", "in_segment"})
_ORDERS = frozenset({"less", "less_or_equal", "greater", "greater_or_equal"})
_DATES = frozenset({"before", "after"})

Parse = Callable[[Any], Any]

_COST_BY_VALUE: dict[str, float] = {
    "starts_with": 0.02,
    "ends_with": 0.02,
    "contains": 4.0,
    "matches": 20.0,
    "version_equal": 0.2,
    "version_less": 0.2,
    "version_greater": 0.2,
    "version_minor": 0.2,
    "version_major": 0.2,
}
_COST: dict[str, float] = {"in_network": 5.0, "before": 1.0, "after": 1.0}
_LEAST = 0.1


def cost(condition: Condition) -> float:
    """About how many microseconds the test takes at most, without the segments that it asks for."""
    by_value = _COST_BY_VALUE.get(condition.operator, 0.0)
    flat = 3.0 if condition.operator.startswith("version") else _COST.get(condition.operator, _LEAST)
    return flat + by_value * len(condition.values)


def check_conditions(conditions: tuple[Condition, ...], path: str, patterns: Patterns, faults: Faults) -> None:
    """Note what is wrong with a list of conditions."""
    if not faults.unless(len(conditions) <= MAX_CONDITIONS, path, f"at most {MAX_CONDITIONS} conditions"):
        return
    for at, condition in enumerate(conditions):
        _check(condition, f"{path}[{at}]", patterns, faults)


def _check(condition: Condition, path: str, patterns: Patterns, faults: Faults) -> None:
    operator, values = condition.operator, condition.values
    if operator == "in_segment":
        faults.unless(not condition.attribute, f"{path}.attribute", "in_segment has none")
    else:
        faults.unless(bool(condition.attribute), f"{path}.attribute", "it is empty")
        faults.unless(len(condition.attribute) <= MAX_NAME, f"{path}.attribute", f"at most {MAX_NAME} characters")
    if operator == "exists":
        faults.unless(not values, f"{path}.values", "exists takes none")
        return
    if not faults.unless(
        1 <= len(values) <= MAX_VALUES,
        f"{path}.values",
        f"a condition has 1 to {MAX_VALUES} values, this one {len(values)}",
    ):
        return
    faults.numbers(values, f"{path}.values")
    if operator in _ORDERS:
        fits = len(values) == 1 and not isinstance(values[0], str | bool)
        faults.unless(fits, f"{path}.values", f"{operator} compares with one number")
    elif operator in _DATES:
        fits = len(values) == 1 and dates.parse(values[0]) is not None
        faults.unless(fits, f"{path}.values", f"{operator} compares with one instant, as in 2030-01-31T12:00:00Z")
    elif operator.startswith("version"):
        _parsed(values, versions.parse, "a version, as in 1.2.3", f"{path}.values", faults)
    elif operator in _TEXTS:
        _check_texts(condition, f"{path}.values", patterns, faults)


def _check_texts(condition: Condition, path: str, patterns: Patterns, faults: Faults) -> None:
    values = condition.values
    if not faults.unless(all(isinstance(value, str) for value in values), path, f"{condition.operator} compares texts"):
        return
    match condition.operator:
        case "in_network":
            _parsed(values, networks.parse, "a network, as in 10.0.0.0/8", path, faults)
        case "in_segment":
            _parsed(values, _key, "a segment's key", path, faults)
        case "matches":
            for at, value in enumerate(values):
                _check_pattern(str(value), f"{path}[{at}]", patterns, faults)
        case "contains":
            faults.unless(all(values), path, "everything contains the empty text")
        case _:
            pass


def _check_pattern(pattern: str, path: str, patterns: Patterns, faults: Faults) -> None:
    if len(pattern.encode("utf-8", "surrogatepass")) > MAX_PATTERN:
        faults.add(path, f"a pattern has at most {MAX_PATTERN} bytes")
        return
    try:
        patterns.compile(pattern)
    except InvalidFlag as error:
        faults.add(path, error.detail)


def _parsed(values: tuple[Any, ...], parse: Parse, what: str, path: str, faults: Faults) -> None:
    for at, value in enumerate(values):
        faults.unless(parse(value) is not None, f"{path}[{at}]", f"{str(value)[:80]!r} is not {what}")


def _key(value: Any) -> str | None:
    try:
        return check_key(value)
    except InvalidFlag:
        return None
