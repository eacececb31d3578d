"""The operators of JsonLogic that evaluate all of their arguments first."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

from tradesense.core.flags.flagd.frame import CHARACTERS, Frame
from tradesense.core.flags.flagd.values import equal, number, ordered, plain, same, text, truthy

Operator = Callable[[Frame, list[Any]], Any]


def _arg(arguments: list[Any], at: int) -> Any:
    return arguments[at] if at < len(arguments) else None


def _between(compare: Callable[[Any, Any], bool]) -> Operator:
    """``<`` and its like take three arguments too: whether the second is between the others."""

    def compared(_: Frame, arguments: list[Any]) -> bool:
        return len(arguments) > 1 and all(ordered(one, other, compare) for one, other in pairwise(arguments[:3]))

    return compared


def _sum(_: Frame, arguments: list[Any]) -> Any:
    return plain(sum((number(argument) for argument in arguments), 0.0))


def _product(_: Frame, arguments: list[Any]) -> Any:
    return plain(math.prod((number(argument) for argument in arguments), start=1.0))


def _difference(_: Frame, arguments: list[Any]) -> Any:
    first = number(_arg(arguments, 0))
    return plain(-first if len(arguments) == 1 else first - number(_arg(arguments, 1)))


def _quotient(_: Frame, arguments: list[Any]) -> Any:
    divisor = number(_arg(arguments, 1))
    return plain(number(_arg(arguments, 0)) / divisor) if divisor else None


def _remainder(_: Frame, arguments: list[Any]) -> Any:
    value, divisor = number(_arg(arguments, 0)), number(_arg(arguments, 1))
    return plain(math.fmod(value, divisor)) if divisor and math.isfinite(value) else None


def _extreme(choose: Callable[[Iterable[float]], float]) -> Operator:
    def found(_: Frame, arguments: list[Any]) -> Any:
        numbers = [number(argument) for argument in arguments]
        return plain(choose(numbers)) if numbers and not any(map(math.isnan, numbers)) else None

    return found


def _cat(frame: Frame, arguments: list[Any]) -> str:
    for argument in arguments:
        if isinstance(argument, list):
            frame.spend(len(cast("Sequence[Any]", argument)))
    made = "".join(map(text, arguments))
    frame.spend(len(made) // CHARACTERS)
    return made


def _substr(_: Frame, arguments: list[Any]) -> str:
    whole, start = text(_arg(arguments, 0)), _index(_arg(arguments, 1))
    part = whole[start:] if start >= 0 else whole[max(len(whole) + start, 0) :]
    if (length := _arg(arguments, 2)) is None:
        return part
    return part[: _index(length)]


def _index(value: Any) -> int:
    wanted = number(value)
    return int(wanted) if math.isfinite(wanted) else 0


def _in(frame: Frame, arguments: list[Any]) -> bool:
    part, whole = _arg(arguments, 0), _arg(arguments, 1)
    if isinstance(whole, str):
        frame.spend(len(whole) // CHARACTERS)
        return isinstance(part, str) and part in whole
    if isinstance(whole, list):
        elements = cast("Sequence[Any]", whole)
        frame.spend(len(elements))
        return any(same(part, element) for element in elements)
    return False


def _merge(frame: Frame, arguments: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for argument in arguments:
        if isinstance(argument, list):
            frame.spend(len(cast("Sequence[Any]", argument)))
            merged += cast("Sequence[Any]", argument)
        else:
            merged.append(argument)
    return merged


OPERATORS: dict[str, Operator] = {
    "==": lambda _, a: equal(_arg(a, 0), _arg(a, 1)),
    "!=": lambda _, a: not equal(_arg(a, 0), _arg(a, 1)),
    "===": lambda _, a: same(_arg(a, 0), _arg(a, 1)),
    "!==": lambda _, a: not same(_arg(a, 0), _arg(a, 1)),
    "!": lambda _, a: not truthy(_arg(a, 0)),
    "!!": lambda _, a: truthy(_arg(a, 0)),
    "<": _between(operator.lt),
    "<=": _between(operator.le),
    ">": _between(operator.gt),
    ">=": _between(operator.ge),
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
    "%": _remainder,
    "min": _extreme(min),
    "max": _extreme(max),
    "cat": _cat,
    "substr": _substr,
    "in": _in,
    "merge": _merge,
}
