"""Explaining an evaluation: the same answer, and each step to it."""

from __future__ import annotations

import pytest

from flagkit import condition, flag, library, shares, toolkit, when
from tradesense.core.flags.explain import explain
from tradesense.core.flags.models import HoldOut, Slot

FLAG = flag(
    when(condition("in", "pro")),
    when(condition("exists"), shares=shares(on=50)),
    when(variant="off", slot=Slot(layer="l", start=0, end=100)),
    when(condition("exists", attribute="b")),
    users={"on": ("ada",)},
    hold_out=HoldOut(name="h", percent=1),
)


def steps(context, definition=FLAG):
    made = library(definition)
    found = explain(definition, context, toolkit(), made.world)
    assert found.evaluation == made.evaluate("f", context)
    return [(step.path, step.outcome, step.why) for step in found.steps], found.steps


def test_each_step_says_whether_it_served_and_why_not():
    told, whole = steps({"targetingKey": "bob", "a": "free"}, flag(when(condition("in", "pro")), *FLAG.rules[2:]))
    assert told == [
        ("rules[0]", "passed", "rules[0].conditions[0] does not hold"),
        ("rules[1]", "served", ""),
        ("rules[2]", "not reached", ""),
    ]
    assert 0 <= whole[1].buckets["slot"] < 100


def test_lists_and_hold_outs_come_first():
    assert steps({"targetingKey": "ada"})[0][0] == ("users", "served", "")
    told, whole = steps({"targetingKey": "bob"})
    assert told[:2] == [
        ("users", "passed", "the targeting key is in no list"),
        ("hold_out", "passed", "the targeting key is not held out"),
    ]
    assert "hold_out" in whole[1].buckets


def test_the_default_is_a_step_where_nothing_else_served():
    assert steps({}, flag(when(condition("in", "x"))))[0][-1] == ("default_variant", "served", "")


@pytest.mark.parametrize("changes", [{"enabled": False}, {"archived": True}])
def test_a_flag_that_is_off_says_so(changes):
    assert steps({}, flag(when(), **changes))[0] == [(next(iter(changes)), "served", "")]


def test_json_logic_is_one_step():
    definition = flag(targeting={"if": [{"var": "a"}, "on"]})
    assert steps({"a": 1}, definition)[0] == [("targeting", "served", "")]
    assert steps({}, definition)[0][0] == ("targeting", "passed", "it chose no variant")
