"""Segments compiled to functions of the context."""

from __future__ import annotations

from tradesense.core.flags.attributes import Test
from tradesense.core.flags.conditions import World, compile_condition
from tradesense.core.flags.models import SUBJECT, Context, Segment
from tradesense.core.flags.toolkit import Toolkit


def compile_segment(segment: Segment, toolkit: Toolkit, world: World) -> Test:
    """Whether somebody is part of ``segment``: never if excluded, always if included, else by its groups.

    :raises InvalidFlag: a pattern is not one.
    """
    included, excluded = frozenset(segment.included), frozenset(segment.excluded)
    groups = tuple(
        tuple(compile_condition(condition, toolkit, world) for condition in group) for group in segment.groups
    )

    def test(context: Context) -> bool:
        subject = context.get(SUBJECT)
        if isinstance(subject, str):
            if subject in excluded:
                return False
            if subject in included:
                return True
        return any(all(holds(context) for holds in group) for group in groups)

    return test
