"""What a flag is: variants, and rules that choose between them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, cast

import msgspec

from tradesense.core.errors import InvalidFlag

MAX_RULES = 100
MAX_VARIANTS = 100
MAX_CONDITIONS = 50
MAX_VALUES = 10_000
"""Values in one condition."""
MAX_ENCODED = 64 * 1024
"""Bytes of the JSON text of a definition."""
MAX_DESCRIPTION = 2_000
"""Characters."""
MAX_NAME = 200
"""Characters of a variant's name."""
MAX_WHOLE = 2**53
"""Whole numbers beyond it are another number to those who read JSON as JavaScript does (RFC 8259, section 6)."""

WHOLE = 100.0
ROUNDING = 1e-9

FlagValue = bool | int | float | str | dict[str, Any] | list[Any] | None
Context = dict[str, Any]
"""What is known of whom the flag is evaluated for; ``targetingKey`` identifies them."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class Reason(StrEnum):
    """Why this value (OpenFeature specification, resolution details)."""

    STATIC = "STATIC"
    """No rule could have changed it."""
    TARGETING_MATCH = "TARGETING_MATCH"
    SPLIT = "SPLIT"
    """A percentage roll-out decided."""
    DEFAULT = "DEFAULT"
    """There are rules, and none matched."""
    DISABLED = "DISABLED"
    ERROR = "ERROR"


class ErrorCode(StrEnum):
    """What went wrong (OpenFeature specification, error codes; OFREP's ``errorCode``)."""

    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    PARSE_ERROR = "PARSE_ERROR"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    GENERAL = "GENERAL"


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test of one attribute. An absent attribute fails every test but ``not_in``."""

    attribute: str
    operator: Literal["in", "not_in", "starts_with", "ends_with", "less", "greater"]
    values: tuple[str | int | float | bool, ...]


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variant and its part of a roll-out, in percent, precise to a thousandth."""

    variant: str
    percent: float


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Serve a variant, or shares of several, where every condition holds. The first rule that matches decides."""

    conditions: tuple[Condition, ...] = ()
    variant: str | None = None
    shares: tuple[Share, ...] = ()
    """Instead of ``variant``. Whoever falls into no share goes on to the next rule."""
    by: str = "targetingKey"
    """The attribute that a roll-out sticks to."""


class Flag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A flag's definition, as administrators write it."""

    key: str
    variants: dict[str, FlagValue]
    default_variant: str
    enabled: bool = True
    rules: tuple[Rule, ...] = ()
    description: str = ""


class StoredFlag(msgspec.Struct, frozen=True, kw_only=True):
    """A definition in the store."""

    flag: Flag
    revision: int
    """Counts from 1 with every change of this key; a deleted key that comes back goes on counting."""
    updated_at: datetime


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question. With an error code the value is ``None``: the caller's own default applies."""

    key: str
    value: FlagValue = None
    variant: str | None = None
    reason: Reason
    error_code: ErrorCode | None = None
    error_details: str = ""


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """Someone was shown a variant."""

    flag: str
    variant: str
    targeting_key: str
    at: datetime


def check_key(key: str) -> str:
    """Return ``key`` when it is a flag's key: 1 to 200 letters, digits, ``.``, ``_``, ``-``.

    :raises InvalidFlag: anything else.
    """
    if not _KEY.fullmatch(key):
        raise InvalidFlag(f"{key[:80]!r} is not a flag's key", mend="use letters, digits, '.', '_' and '-'")
    return key


def check_flag(flag: Flag) -> Flag:
    """Return ``flag`` when it can be evaluated.

    :raises InvalidFlag: it cannot; the message names the path of the first fault.
    """
    check_key(flag.key)
    if not 1 <= len(flag.variants) <= MAX_VARIANTS:
        raise InvalidFlag(f"variants: a flag has 1 to {MAX_VARIANTS} variants, this one {len(flag.variants)}")
    kinds = {_kind(value) for value in flag.variants.values()}
    if len(kinds) > 1:
        raise InvalidFlag(f"variants: all values have one type, these have {', '.join(sorted(kinds))}")
    for name in flag.variants:
        _check_name(name)
    if len(flag.description) > MAX_DESCRIPTION:
        raise InvalidFlag(f"description: it has at most {MAX_DESCRIPTION} characters, this one {len(flag.description)}")
    _check_numbers(flag.variants, "variants")
    _check_variant(flag, flag.default_variant, "default_variant")
    if len(flag.rules) > MAX_RULES:
        raise InvalidFlag(f"rules: a flag has at most {MAX_RULES} rules, this one {len(flag.rules)}")
    for index, rule in enumerate(flag.rules):
        _check_rule(flag, rule, f"rules[{index}]")
    _check_size(flag)
    return flag


def _check_size(flag: Flag) -> None:
    try:
        size = len(msgspec.json.encode(flag))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidFlag("a definition must be JSON") from error
    if size > MAX_ENCODED:
        raise InvalidFlag(f"a definition has at most {MAX_ENCODED} bytes of JSON, this one {size}")


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidFlag(
            f"variants: {name[:80]!r} is not a variant's name", mend=f"use 1 to {MAX_NAME} printable characters"
        )


def _check_numbers(value: Any, path: str) -> None:
    for number in _numbers(value):
        whole = isinstance(number, int)
        if whole and abs(number) > MAX_WHOLE:
            raise InvalidFlag(f"{path}: a whole number is within -2^53 to 2^53", mend="write it as a text")
        if not whole and not math.isfinite(number):
            raise InvalidFlag(f"{path}: a number is finite")


def _numbers(value: Any) -> Iterator[int | float]:
    """All numbers in a value, however deep."""
    left: list[Any] = [value]
    while left:
        one: Any = left.pop()
        if isinstance(one, dict):
            left.extend(cast("dict[str, Any]", one).values())
        elif isinstance(one, list | tuple):
            left.extend(cast("Sequence[Any]", one))
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield one


def _check_rule(flag: Flag, rule: Rule, path: str) -> None:
    if (rule.variant is None) == (not rule.shares):
        raise InvalidFlag(f"{path}: a rule has either a variant or shares")
    if rule.variant is not None:
        _check_variant(flag, rule.variant, f"{path}.variant")
    total = 0.0
    for index, share in enumerate(rule.shares):
        _check_variant(flag, share.variant, f"{path}.shares[{index}].variant")
        if not 0 <= share.percent <= WHOLE:
            raise InvalidFlag(f"{path}.shares[{index}].percent: {share.percent} is not between 0 and 100")
        total += share.percent
    if total > WHOLE + ROUNDING:
        raise InvalidFlag(f"{path}.shares: the percentages add up to {total:g}, more than 100")
    if len(rule.conditions) > MAX_CONDITIONS:
        raise InvalidFlag(f"{path}.conditions: a rule has at most {MAX_CONDITIONS} conditions")
    for index, condition in enumerate(rule.conditions):
        _check_condition(condition, f"{path}.conditions[{index}]")


def _check_condition(condition: Condition, path: str) -> None:
    if not condition.attribute:
        raise InvalidFlag(f"{path}.attribute: it is empty")
    if not 1 <= len(condition.values) <= MAX_VALUES:
        raise InvalidFlag(f"{path}.values: a condition has 1 to {MAX_VALUES} values, this one {len(condition.values)}")
    _check_numbers(condition.values, f"{path}.values")
    if condition.operator in {"starts_with", "ends_with"} and not all(isinstance(v, str) for v in condition.values):
        raise InvalidFlag(f"{path}.values: {condition.operator} compares texts")
    if condition.operator in {"less", "greater"} and (
        len(condition.values) != 1 or isinstance(condition.values[0], str | bool)
    ):
        raise InvalidFlag(f"{path}.values: {condition.operator} compares with one number")


def _check_variant(flag: Flag, variant: str, path: str) -> None:
    if variant not in flag.variants:
        raise InvalidFlag(f"{path}: there is no variant {variant!r}", mend=f"use one of {', '.join(flag.variants)}")


def _kind(value: FlagValue) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case _:
            return "object"
