"""Tests of sets and texts."""

from __future__ import annotations

from typing import Any

from tradesense.core.flags.attributes import Get, Test, getter
from tradesense.core.flags.keys import MAX_TEXT
from tradesense.core.flags.models import Context
from tradesense.core.flags.ports import Patterns


def membership(attribute: str, values: tuple[Any, ...], *, present: bool) -> Test:
    """Whether the attribute is one of ``values``, or, where ``present`` is false, none of them."""
    if all(type(value) is str for value in values):
        return _texts(attribute, frozenset(values), present=present)
    # Python says that True == 1; a flag must not.
    wanted = frozenset((type(value) is bool, value) for value in values)
    find = getter(attribute)

    def test(context: Context) -> bool:
        value = find(context)
        if not isinstance(value, str | int | float | bool):
            return not present
        return ((type(value) is bool, value) in wanted) is present

    return test


def _texts(attribute: str, wanted: frozenset[str], *, present: bool) -> Test:
    if "." not in attribute:
        # A function for each, as nothing is asked more often.
        def inside(context: Context) -> bool:
            value = context.get(attribute)
            return type(value) is str and value in wanted

        def outside(context: Context) -> bool:
            value = context.get(attribute)
            return type(value) is not str or value not in wanted

        return inside if present else outside
    find = getter(attribute)

    def deep(context: Context) -> bool:
        value = find(context)
        return (type(value) is str and value in wanted) is present

    return deep


def affix(find: Get, affixes: tuple[str, ...], *, start: bool) -> Test:
    """Whether the text begins, or ends, with one of ``affixes``."""

    def test(context: Context) -> bool:
        value = find(context)
        return isinstance(value, str) and (value.startswith(affixes) if start else value.endswith(affixes))

    return test


def containing(find: Get, parts: tuple[str, ...]) -> Test:
    """Whether one of ``parts`` is in the text. Texts of over 4,096 characters contain nothing."""

    def test(context: Context) -> bool:
        value = find(context)
        return isinstance(value, str) and len(value) <= MAX_TEXT and any(part in value for part in parts)

    return test


def matching(find: Get, patterns: tuple[str, ...], engine: Patterns) -> Test:
    """Whether one of ``patterns`` is found in the text. Texts of over 4,096 characters match nothing.

    :raises InvalidFlag: the engine does not take one of the patterns.
    """
    searches = tuple(engine.compile(pattern) for pattern in patterns)

    def test(context: Context) -> bool:
        value = find(context)
        return isinstance(value, str) and len(value) <= MAX_TEXT and any(search(value) for search in searches)

    return test
