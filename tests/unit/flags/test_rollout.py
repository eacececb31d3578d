"""Percentage roll-outs: fair, sticky, and growing without moving anyone out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tradesense.core.flags.buckets import BUCKETS, bucket
from tradesense.core.flags.checking import check_flag
from tradesense.core.flags.engine import compile_flag
from tradesense.core.flags.models import Flag, Rule, Share

PEOPLE = [f"user-{number}" for number in range(100_000)]
SOME = PEOPLE[:20_000]


def compiled(*shares, key="roll-out", by="targetingKey"):
    rule = Rule(shares=tuple(Share(variant=variant, percent=percent) for variant, percent in shares), by=by)
    variants = {"a": "a", "b": "b", "c": "c", "none": "none"}
    return compile_flag(check_flag(Flag(key=key, variants=variants, default_variant="none", rules=(rule,))))


def served(evaluate, people=PEOPLE):
    return [evaluate({"targetingKey": person}).variant for person in people]


@pytest.mark.parametrize(
    "shares",
    [
        [("a", 50), ("b", 50)],
        [("a", 33.333), ("b", 33.333), ("c", 33.334)],
        [("a", 10), ("b", 20)],
        [("a", 1), ("b", 99)],
    ],
)
@pytest.mark.parametrize("key", ["roll-out", "another"])
def test_R60_every_share_gets_its_percentage_within_one(shares, key):
    answers = served(compiled(*shares, key=key))
    for variant, percent in shares:
        assert abs(answers.count(variant) * 100 / len(PEOPLE) - percent) < 1
    assert abs(answers.count("none") * 100 / len(PEOPLE) - (100 - sum(percent for _, percent in shares))) < 1


@pytest.mark.parametrize(("percent", "expected"), [(0, "none"), (100, "a")])
def test_nobody_and_everybody_are_exact(percent, expected):
    assert set(served(compiled(("a", percent)), SOME)) == {expected}


def test_shares_that_add_up_to_a_hundred_leave_nobody_out():
    assert "none" not in served(compiled(*[(variant, 100 / 3) for variant in "abc"]), SOME)


def test_the_same_person_gets_the_same_variant():
    evaluate = compiled(("a", 50), ("b", 50))
    assert served(evaluate, PEOPLE[:5000]) == served(compiled(("a", 50), ("b", 50)), PEOPLE[:5000])
    person = {"targetingKey": "user-1"}
    assert evaluate(person) == evaluate(person | {"plan": "pro", "age": 7})


def test_a_ramp_moves_no_one_out():
    inside = set()
    for percent in (0, 0.001, 1, 5, 5.001, 25, 50, 99.999, 100):
        answers = served(compiled(("a", percent)), SOME)
        now = {person for person, variant in zip(SOME, answers, strict=True) if variant == "a"}
        assert inside <= now
        inside = now
    assert len(inside) == len(SOME)


def test_a_person_sticks_to_the_attribute_that_the_rule_names():
    evaluate = compiled(("a", 50), ("b", 50), by="tenant")
    assert len({evaluate({"tenant": "t", "targetingKey": person}).variant for person in PEOPLE[:100]}) == 1


def test_two_flags_split_people_independently():
    one = served(compiled(("a", 50), ("b", 50), key="one"))
    two = served(compiled(("a", 50), ("b", 50), key="two"))
    both = sum(first == second == "a" for first, second in zip(one, two, strict=True))
    assert abs(both * 100 / len(PEOPLE) - 25) < 1


def test_the_buckets_are_the_published_ones():
    assert [bucket("f", subject) for subject in ("", "user-1", "user-2", "ünï")] == [83887, 10326, 35585, 19977]
    assert all(0 <= bucket("f", person) < BUCKETS for person in PEOPLE)


def test_another_process_finds_the_same_buckets():
    code = "from tradesense.core.flags.buckets import bucket; print([bucket('f', f'user-{n}') for n in range(1000)])"
    answer = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "1"}, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == str([bucket("f", f"user-{number}") for number in range(1000)])


def test_salt_and_subject_do_not_flow_into_each_other():
    assert bucket("ab", "c") != bucket("a", "bc")
