"""Evaluation: rules in order, honest reasons, and never an exception."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.checking import check_flag
from tradesense.core.flags.engine import compile_flag
from tradesense.core.flags.models import Condition, ErrorCode, Flag, Reason, Rule, Share

json_scalars = st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=12)
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["targetingKey", "plan", "age", "tenant"])


def evaluate(rules, context, **changes):
    fields = {"key": "f", "variants": {"on": True, "off": False}, "default_variant": "off", "rules": rules}
    return compile_flag(check_flag(Flag(**(fields | changes))))(context)


def holds(operator, values, context):
    rule = Rule(conditions=(Condition(attribute="a", operator=operator, values=values),), variant="on")
    return evaluate((rule,), context).value is True


def test_without_rules_the_default_is_static():
    answer = evaluate((), {"targetingKey": "u"})
    assert (answer.value, answer.variant, answer.reason, answer.error_code) == (False, "off", Reason.STATIC, None)


def test_a_disabled_flag_leaves_the_value_to_the_caller():
    answer = evaluate((Rule(variant="on"),), {}, enabled=False)
    assert (answer.value, answer.variant, answer.reason, answer.error_code) == (None, None, Reason.DISABLED, None)


def test_the_first_rule_that_matches_decides():
    rules = (
        Rule(conditions=(Condition(attribute="plan", operator="in", values=("free",)),), variant="off"),
        Rule(conditions=(Condition(attribute="plan", operator="in", values=("free", "pro")),), variant="on"),
    )
    assert evaluate(rules, {"plan": "free"}).variant == "off"
    assert evaluate(rules, {"plan": "pro"}).variant == "on"
    assert evaluate(rules, {"plan": "pro"}).reason is Reason.TARGETING_MATCH


def test_when_no_rule_matches_the_default_says_so():
    rule = Rule(conditions=(Condition(attribute="plan", operator="in", values=("pro",)),), variant="on")
    answer = evaluate((rule,), {"plan": "free"})
    assert (answer.variant, answer.reason) == ("off", Reason.DEFAULT)


def test_every_condition_of_a_rule_must_hold():
    rule = Rule(
        conditions=(
            Condition(attribute="plan", operator="in", values=("pro",)),
            Condition(attribute="age", operator="greater", values=(17,)),
        ),
        variant="on",
    )
    assert evaluate((rule,), {"plan": "pro", "age": 18}).value is True
    assert evaluate((rule,), {"plan": "pro", "age": 17}).value is False
    assert evaluate((rule,), {"plan": "free", "age": 18}).value is False


@pytest.mark.parametrize(
    ("operator", "values", "context", "expected"),
    [
        ("in", ("x", 1), {"a": "x"}, True),
        ("in", ("x", 1), {"a": 1.0}, True),
        ("in", (1,), {"a": True}, False),
        ("in", (True,), {"a": 1}, False),
        ("in", (True,), {"a": True}, True),
        ("in", ("1",), {"a": 1}, False),
        ("in", ("x",), {"a": ["x"]}, False),
        ("in", ("x",), {"a": None}, False),
        ("in", ("x",), {}, False),
        ("not_in", ("x",), {"a": "y"}, True),
        ("not_in", ("x",), {"a": "x"}, False),
        ("not_in", ("x",), {"a": ["x"]}, True),
        ("not_in", ("x",), {}, True),
        ("starts_with", ("ab", "cd"), {"a": "cde"}, True),
        ("starts_with", ("ab",), {"a": "xab"}, False),
        ("starts_with", ("ab",), {"a": 1}, False),
        ("starts_with", ("ab",), {}, False),
        ("ends_with", ("@x.org",), {"a": "me@x.org"}, True),
        ("ends_with", ("@x.org",), {"a": "@x.org.evil"}, False),
        ("less", (10,), {"a": 9.99}, True),
        ("less", (10,), {"a": 10}, False),
        ("less", (10,), {"a": "9"}, False),
        ("less", (10,), {"a": False}, False),
        ("less", (10,), {"a": float("nan")}, False),
        ("less", (10,), {}, False),
        ("greater", (10,), {"a": 10**400}, True),
        ("greater", (10,), {"a": 10}, False),
        ("less", (2**53,), {"a": -(10**400)}, True),
        ("greater", (2**53,), {"a": 2**53 + 1}, True),
    ],
)
def test_a_condition_holds_as_it_reads(operator, values, context, expected):
    assert holds(operator, values, context) is expected


def test_a_roll_out_without_its_attribute_is_an_error_in_the_answer():
    rule = Rule(shares=(Share(variant="on", percent=100),), by="tenant")
    for context in ({}, {"tenant": None}, {"tenant": ""}, {"targetingKey": "u"}, {"tenant": ["u"]}, {"tenant": {}}):
        answer = evaluate((rule,), context)
        assert (answer.value, answer.reason) == (None, Reason.ERROR)
        assert answer.error_code is ErrorCode.TARGETING_KEY_MISSING
        assert "'tenant'" in answer.error_details


def test_who_falls_into_no_share_goes_on_to_the_next_rule():
    rules = (Rule(shares=(Share(variant="on", percent=0),)), Rule(variant="on"))
    answer = evaluate(rules, {"targetingKey": "u"})
    assert (answer.variant, answer.reason) == ("on", Reason.TARGETING_MATCH)


@pytest.mark.parametrize(
    "subject", [7, 7.5, True, False, 0, pytest.param(10**9000, id="huge"), float("nan"), "\ud800", "x" * 100_000]
)
def test_a_roll_out_takes_any_text_number_or_boolean(subject):
    rule = Rule(shares=(Share(variant="on", percent=100),))
    answer = evaluate((rule,), {"targetingKey": subject})
    assert (answer.variant, answer.reason) == ("on", Reason.SPLIT)


conditions = st.builds(
    Condition,
    attribute=names,
    operator=st.sampled_from(["in", "not_in", "starts_with", "ends_with", "less", "greater"]),
    values=st.lists(
        st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=6), max_size=4
    ).map(tuple),
)
shares = st.lists(st.builds(Share, variant=st.sampled_from(["on", "off"]), percent=st.floats(0, 100)), max_size=3)
rules = st.builds(
    lambda tests, variant, parts, by: Rule(
        conditions=tuple(tests), variant=None if parts else variant, shares=tuple(parts), by=by
    ),
    st.lists(conditions, max_size=3),
    st.sampled_from(["on", "off"]),
    shares,
    names,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine draws slowly
@given(st.lists(rules, max_size=4), st.dictionaries(names, json_values, max_size=4))
def test_R60_whatever_is_accepted_evaluates_without_raising(rules, context):
    flag = Flag(key="f", variants={"on": True, "off": False}, default_variant="off", rules=tuple(rules))
    try:
        check_flag(flag)
    except InvalidFlag:
        return
    answer = compile_flag(flag)(context)
    if answer.error_code is None:
        assert answer.value is flag.variants[answer.variant]
    else:
        assert answer.value is None
        assert answer.reason is Reason.ERROR
