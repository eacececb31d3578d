"""Conditions compiled to functions of the context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tradesense.core.flags import dates, networks, numbers, texts, versions
from tradesense.core.flags.attributes import Test, getter, negated, over
from tradesense.core.flags.models import Condition, Context, Evaluation
from tradesense.core.flags.toolkit import Toolkit


@dataclass(frozen=True, slots=True)
class World:
    """What definitions refer to by key. It is looked at when a flag is evaluated, so that each is compiled alone."""

    segments: Mapping[str, Test] = field(default_factory=dict[str, Test])
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The compiled flags: functions from a context to an :class:`Evaluation`."""

    def served(self, key: str, context: Context) -> str | None:
        """The variant that another flag serves, if there is one."""
        compiled = self.flags.get(key)
        if compiled is None:
            return None
        answer: Evaluation = compiled(context)
        return answer.variant


def compile_condition(condition: Condition, toolkit: Toolkit, world: World) -> Test:
    """The test that ``condition`` stands for.

    :raises InvalidFlag: a pattern is not one.
    """
    test = _MAKERS[condition.operator](condition, toolkit, world)
    return negated(test) if condition.negate else test


def _set(condition: Condition, _: Toolkit, __: World) -> Test:
    return texts.membership(condition.attribute, condition.values, present=condition.operator == "in")


def _affix(condition: Condition, _: Toolkit, __: World) -> Test:
    start = condition.operator == "starts_with"
    return texts.affix(getter(condition.attribute), _strings(condition.values), start=start)


def _contains(condition: Condition, _: Toolkit, __: World) -> Test:
    return texts.containing(getter(condition.attribute), _strings(condition.values))


def _matches(condition: Condition, toolkit: Toolkit, _: World) -> Test:
    return texts.matching(getter(condition.attribute), _strings(condition.values), toolkit.patterns)


def _order(condition: Condition, _: Toolkit, __: World) -> Test:
    bound: Any = condition.values[0]
    return over(condition.attribute, numbers.ordered(condition.operator, bound))


def _version(condition: Condition, _: Toolkit, __: World) -> Test:
    return over(condition.attribute, versions.compared(condition.operator, condition.values))


def _date(condition: Condition, _: Toolkit, __: World) -> Test:
    return over(condition.attribute, dates.compared(condition.operator, condition.values[0]))


def _network(condition: Condition, _: Toolkit, __: World) -> Test:
    return over(condition.attribute, networks.within(condition.values))


def _exists(condition: Condition, _: Toolkit, __: World) -> Test:
    return over(condition.attribute, lambda value: value is not None)


def _in_segment(condition: Condition, _: Toolkit, world: World) -> Test:
    keys, segments = _strings(condition.values), world.segments

    def test(context: Context) -> bool:
        for key in keys:
            segment = segments.get(key)
            if segment is not None and segment(context):
                return True
        return False

    return test


def _strings(values: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str))


_MAKERS: dict[str, Callable[[Condition, Toolkit, World], Test]] = {
    "in": _set,
    "not_in": _set,
    "starts_with": _affix,
    "ends_with": _affix,
    "contains": _contains,
    "matches": _matches,
    **dict.fromkeys(numbers.COMPARISONS, _order),
    **dict.fromkeys(versions.COMPARISONS, _version),
    "before": _date,
    "after": _date,
    "in_network": _network,
    "exists": _exists,
    "in_segment": _in_segment,
}
