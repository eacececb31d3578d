"""Which definitions can be evaluated; the refusal names the path of the fault."""

from __future__ import annotations

import msgspec
import pytest

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.checking import check_flag
from tradesense.core.flags.keys import check_key
from tradesense.core.flags.models import Condition, Flag, Rule, Share

VARIANTS = {"on": True, "off": False}


def flag(*rules, **changes):
    fields = {"key": "f", "variants": VARIANTS, "default_variant": "off", "rules": rules}
    return Flag(**(fields | changes))


def condition(operator, *values, attribute="plan"):
    return Condition(attribute=attribute, operator=operator, values=values)


@pytest.mark.parametrize("key", ["a", "A.b_c-1", "0", "x" * 200])
def test_a_key_within_the_grammar_is_returned_as_it_is(key):
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", ".a", "-a", "a b", "a/b", "a\n", "é", "x" * 201])
def test_a_key_outside_the_grammar_is_refused(key):
    with pytest.raises(InvalidFlag):
        check_key(key)


@pytest.mark.parametrize(
    "good",
    [
        flag(),
        flag(Rule(variant="on")),
        flag(Rule(conditions=(condition("in", "pro", 1, True),), variant="on")),
        flag(Rule(shares=(Share(variant="on", percent=33.333), Share(variant="off", percent=66.667)))),
        flag(Rule(shares=tuple(Share(variant="on", percent=0.1) for _ in range(1000)))),
        flag(variants={"a": 1, "b": 2.5}, default_variant="a"),
        flag(variants={"a": {"x": 1}, "b": [1], "c": None}, default_variant="c"),
        flag(*[Rule(conditions=(condition("in", "pro"),), variant="on")] * 100),
        flag(description="x" * 2000),
        flag(variants={"x" * 200: 2**53, "Größe 漢": -(2**53)}, default_variant="x" * 200),
        flag(variants={"a": 1e308}, default_variant="a"),
        flag(variants={"a": "x" * 65_000}, default_variant="a"),
    ],
)
def test_a_definition_that_can_be_evaluated_is_returned_as_it_is(good):
    assert check_flag(good) is good


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (flag(variants={}), "variants"),
        (flag(variants={str(i): i for i in range(101)}, default_variant="0"), "variants"),
        (flag(variants={"off": False, "on": 1}), "variants"),
        (flag(variants={"off": "no", "on": 1}), "variants"),
        (flag(default_variant="maybe"), "default_variant"),
        (flag(*[Rule(conditions=(condition("in", "pro"),), variant="on")] * 101), "rules"),
        (flag(Rule(variant="on"), Rule(variant="off")), "rules[1]"),
        (flag(Rule(shares=(Share(variant="on", percent=1),)), Rule(variant="maybe")), "rules[1].variant"),
        (flag(Rule()), "rules[0]"),
        (flag(Rule(variant="on", shares=(Share(variant="on", percent=1),))), "rules[0]"),
        (flag(Rule(shares=(Share(variant="maybe", percent=1),))), "rules[0].shares[0].variant"),
        (flag(Rule(shares=(Share(variant="on", percent=-1),))), "rules[0].shares[0].percent"),
        (flag(Rule(shares=(Share(variant="on", percent=100.5),))), "rules[0].shares[0].percent"),
        (flag(Rule(shares=(Share(variant="on", percent=float("nan")),))), "rules[0].shares[0].percent"),
        (flag(Rule(shares=(Share(variant="on", percent=60), Share(variant="off", percent=41)))), "rules[0].shares"),
        (flag(Rule(variant="on", conditions=(condition("in", "a"),) * 51)), "rules[0].conditions"),
        (
            flag(Rule(variant="on", conditions=(condition("in", "a", attribute=""),))),
            "rules[0].conditions[0].attribute",
        ),
        (flag(Rule(variant="on", conditions=(condition("in"),))), "rules[0].conditions[0].values"),
        (flag(Rule(variant="on", conditions=(condition("in", *range(10_001)),))), "rules[0].conditions[0].values"),
        (flag(Rule(variant="on", conditions=(condition("starts_with", "a", 1),))), "rules[0].conditions[0].values"),
        (flag(Rule(variant="on", conditions=(condition("less", "a"),))), "rules[0].conditions[0].values"),
        (flag(Rule(variant="on", conditions=(condition("less", True),))), "rules[0].conditions[0].values"),
        (flag(Rule(variant="on", conditions=(condition("greater", 1, 2),))), "rules[0].conditions[0].values"),
        (flag(Rule(variant="on", conditions=(condition("in", 2**53 + 1),))), "rules[0].conditions[0].values"),
        (flag(Rule(variant="on", conditions=(condition("less", float("inf")),))), "rules[0].conditions[0].values"),
        (flag(description="x" * 2001), "description"),
        (flag(variants={"a": 2**53 + 1}, default_variant="a"), "variants"),
        (flag(variants={"a": float("nan")}, default_variant="a"), "variants"),
        (flag(variants={"a": {"b": [1, {"c": -(2**53) - 1}]}}, default_variant="a"), "variants"),
        (flag(variants={"a": [[float("-inf")]]}, default_variant="a"), "variants"),
        *(
            (flag(variants={n: 1}, default_variant=n), "variants")
            for n in ("", "a\0", "a\n", "\x1b[2J", "\u202ea", "x" * 201)
        ),
    ],
)
def test_the_refusal_names_the_path(bad, path):
    with pytest.raises(InvalidFlag) as caught:
        check_flag(bad)
    assert caught.value.detail.startswith(f"{path}:")


@pytest.mark.parametrize(
    "bad",
    [
        flag(variants={"a": "x" * 65_536}, default_variant="a"),
        flag(Rule(variant="on", conditions=(condition("in", *(f"customer-{i}" for i in range(5000))),))),
        flag(variants={"a": "\ud800"}, default_variant="a"),
        flag(variants={"a": [object()]}, default_variant="a"),
    ],
)
def test_a_definition_is_json_of_at_most_64_kib(bad):
    with pytest.raises(InvalidFlag, match="a definition"):
        check_flag(bad)


@pytest.mark.parametrize(
    "text",
    [
        b'{"key":"f","variants":{"on":true},"default_variant":"on","rules":[{"variant":"on","unknown":1}]}',
        b'{"key":"f","variants":{"on":true}}',
        (
            b'{"key":"f","variants":{"on":true},"default_variant":"on","rules":[{"variant":"on","conditions":'
            b'[{"attribute":"a","operator":"like","values":["a%"]}]}]}'
        ),
    ],
)
def test_unknown_fields_missing_fields_and_unknown_operators_are_no_definition(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Flag)
