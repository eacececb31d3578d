"""Finding an attribute in a context."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from tradesense.core.flags.models import Context

Test = Callable[[Context], bool]
Get = Callable[[Context], Any]


def getter(attribute: str) -> Get:
    """What finds ``attribute``, ``None`` where it is absent; one with dots is a path unless a key is called so."""
    if "." not in attribute:
        return lambda context: context.get(attribute)
    parts = attribute.split(".")

    def find(context: Context) -> Any:
        if attribute in context:
            return context[attribute]
        value: Any = context
        for part in parts:
            if not isinstance(value, dict):
                return None
            value = cast("dict[str, Any]", value).get(part)
        return value

    return find


def over(attribute: str, holds: Callable[[Any], bool]) -> Test:
    """The test that asks ``holds`` of the attribute."""
    if "." not in attribute:
        return lambda context: holds(context.get(attribute))
    find = getter(attribute)
    return lambda context: holds(find(context))


def negated(test: Test) -> Test:
    """The test that holds where ``test`` does not."""
    return lambda context: not test(context)
