"""What decides beside rules: lists, prerequisites, segments, hold-outs, slots, schedules and ramps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flagkit import PEOPLE, Time, compiled, condition, flag, inside, library, shares, toolkit, when
from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.checking import check_flag, check_segment
from tradesense.core.flags.models import (
    ErrorCode,
    Experiment,
    HoldOut,
    Prerequisite,
    Reason,
    Schedule,
    Segment,
    Slot,
    Step,
)

MIDNIGHT = datetime(2030, 6, 1, tzinfo=UTC)
FEW = PEOPLE[:20_000]


def hours(number):
    return MIDNIGHT + timedelta(hours=number)


def test_a_listed_user_gets_the_listed_variant_before_any_rule():
    evaluate = compiled(flag(when(variant="off"), users={"on": ("ada",)}))
    assert evaluate({"targetingKey": "ada"}).value is True
    assert evaluate({"targetingKey": "bob"}).value is False
    assert evaluate({"targetingKey": ["ada"]}).value is False


def test_an_unmet_prerequisite_serves_the_default():
    needs = Prerequisite(flag="base", variants=("on",))
    for base, expected in (
        (flag(when(condition("in", "pro")), key="base"), [True, False]),
        (flag(key="base", enabled=False), [False, False]),
        (None, [False, False]),
    ):
        others = [base] if base else []
        made = library(flag(when(), prerequisites=(needs,)), *others)
        assert [made.evaluate("f", {"a": plan}).value for plan in ("pro", "free")] == expected


def test_F24_cyclic_prerequisites_are_refused_and_end_in_an_error_where_they_are_there():
    one = flag(when(), key="one", prerequisites=(Prerequisite(flag="two", variants=("on",)),))
    two = flag(when(), key="two", prerequisites=(Prerequisite(flag="one", variants=("on",)),))
    made = library(one, two, flag(key="three"))
    with pytest.raises(InvalidFlag, match="cycle"):
        made.graph(two).check_flag(two)
    for key in ("one", "two"):
        assert made.evaluate(key, {}).error_code is ErrorCode.GENERAL
    assert made.evaluate("three", {}).value is False


def test_F24_a_long_chain_of_prerequisites_is_refused():
    flags = [flag(key="f0")]
    flags += [
        flag(key=f"f{number}", prerequisites=(Prerequisite(flag=f"f{number - 1}", variants=("on",)),))
        for number in range(1, 40)
    ]
    made = library(*flags)
    assert made.evaluate("f5", {}).error_code is None
    assert made.evaluate("f39", {}).error_code is ErrorCode.GENERAL
    with pytest.raises(InvalidFlag, match="behind each other"):
        made.graph().check_flag(flags[39])


def test_F24_prerequisites_that_multiply_are_refused_though_no_flag_has_a_rule():
    wide, deep = 8, 6
    flags = [flag(key=f"f0-{at}") for at in range(wide)]
    for level in range(1, deep):
        asked = tuple(Prerequisite(flag=f"f{level - 1}-{at}", variants=("on", "off")) for at in range(wide))
        flags += [flag(key=f"f{level}-{at}", prerequisites=asked) for at in range(wide)]
    made = library(*flags)
    made.graph().check_flag(flags[2 * wide])
    with pytest.raises(InvalidFlag, match=r"prerequisites"):
        made.graph().check_flag(flags[-1])
    assert made.evaluate(flags[-1].key, {}).error_code is ErrorCode.GENERAL


def test_what_a_definition_refers_to_must_be_there():
    made = library(flag(key="base"))
    for bad, path in (
        (flag(prerequisites=(Prerequisite(flag="nowhere", variants=("on",)),)), r"prerequisites\[0\].flag"),
        (flag(prerequisites=(Prerequisite(flag="base", variants=("maybe",)),)), r"prerequisites\[0\].variants"),
        (flag(when(condition("in_segment", "nobody"))), r"rules\[0\].conditions\[0\].values\[0\]"),
    ):
        with pytest.raises(InvalidFlag, match=path):
            made.graph(bad).check_flag(bad)


def test_segments_hold_lists_and_groups_and_each_other():
    staff = Segment(key="staff", included=("ada",), excluded=("eve",), groups=((condition("ends_with", "@x.org"),),))
    both = Segment(key="both", groups=((condition("in_segment", "staff"), condition("in", "pro", attribute="plan")),))
    made = library(flag(when(condition("in_segment", "both"))), segments=(staff, both))
    answers = [
        made.evaluate("f", {"targetingKey": who, "a": mail, "plan": plan}).value
        for who, mail, plan in (
            ("ada", "", "pro"),
            ("bob", "bob@x.org", "pro"),
            ("eve", "eve@x.org", "pro"),
            ("ada", "", "free"),
            ("bob", "bob@y.org", "pro"),
        )
    ]
    assert answers == [True, True, False, False, False]


def test_F24_cyclic_segments_are_refused_and_end_in_an_error_where_they_are_there():
    one = Segment(key="one", included=("u",), groups=((condition("in_segment", "two"),),))
    two = Segment(key="two", groups=((condition("in_segment", "one"),),))
    made = library(flag(when(condition("in_segment", "one"))), segments=(one, two))
    with pytest.raises(InvalidFlag, match="cycle"):
        made.graph(segment=two).check_segment(two)
    assert made.evaluate("f", {"targetingKey": "u"}).error_code is ErrorCode.GENERAL


def test_a_segment_with_an_empty_group_is_refused():
    with pytest.raises(InvalidFlag, match=r"groups\[0\]"):
        check_segment(Segment(key="s", groups=((),)))


def test_a_hold_out_is_the_same_people_for_every_flag_that_names_it():
    held = HoldOut(name="2030", percent=10)
    out = [
        set(FEW) - inside(compiled(flag(when(), key=key, hold_out=held)), people=FEW) for key in ("one", "two", "three")
    ]
    assert out[0] == out[1] == out[2]
    assert abs(len(out[0]) / len(FEW) - 0.10) < 0.01


def test_slots_of_one_layer_have_nobody_in_common_and_overlapping_ones_are_refused():
    one = flag(when(slot=Slot(layer="checkout", start=0, end=50)), key="one")
    two = flag(when(slot=Slot(layer="checkout", start=50, end=100)), key="two")
    first, second = inside(compiled(one), people=FEW), inside(compiled(two), people=FEW)
    assert not first & second
    assert first | second == set(FEW)
    third = flag(when(slot=Slot(layer="checkout", start=40, end=60)), key="three")
    with pytest.raises(InvalidFlag, match=r"rules\[0\].slot"):
        library(one, two).graph(third).check_flag(third)


def test_a_schedule_opens_and_closes_at_its_instants():
    time = Time()
    evaluate = compiled(flag(when(schedule=Schedule(since=hours(1), until=hours(2)))), time)
    seen = []
    for instant in (hours(0), hours(1), hours(2) - timedelta(microseconds=1), hours(2)):
        time.at(instant)
        seen.append(evaluate({}).value)
    assert seen == [False, True, True, False]


def test_R60_a_ramp_over_time_moves_no_one_out():
    time = Time()
    steps = (Step(at=hours(0), percent=10), Step(at=hours(10), percent=20))
    evaluate = compiled(flag(when(shares=shares(on=50, off=50), schedule=Schedule(ramp=steps))), time)
    before = set()
    for hour, percent in ((-1, 0), (0, 10), (5, 15), (10, 20), (99, 20)):
        time.at(hours(hour))
        reached = {p: evaluate({"targetingKey": p}) for p in FEW}
        reached = {person: answer.variant for person, answer in reached.items() if answer.reason is Reason.SPLIT}
        assert abs(len(reached) * 100 / len(FEW) - percent) < 1
        assert before <= reached.items()
        before = set(reached.items())


def test_an_archived_flag_serves_nothing_and_is_left_out_of_all():
    made = library(flag(when(), archived=True), flag(key="g"))
    assert made.evaluate("f", {}).reason is Reason.DISABLED
    assert [one.key for one in made.evaluate_all({})] == ["g"]


def test_without_a_default_variant_the_callers_own_applies():
    answer = compiled(flag(when(condition("in", "x")), default_variant=None))({})
    assert (answer.value, answer.variant, answer.reason, answer.error_code) == (None, None, Reason.DEFAULT, None)


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (flag(type="string"), "type"),
        (flag(users={"maybe": ("u",)}), "users.maybe"),
        (flag(users={"on": ("u",), "off": ("u",)}), "users.off"),
        (flag(prerequisites=(Prerequisite(flag="f", variants=("on",)),)), "prerequisites[0].flag"),
        (flag(hold_out=HoldOut(name="", percent=1)), "hold_out.name"),
        (flag(hold_out=HoldOut(name="h", percent=101)), "hold_out.percent"),
        (flag(tags=("a\n",)), "tags[0]"),
        (flag(owner="a\0"), "owner"),
        (flag(expires=datetime(2030, 1, 1)), "expires"),  # noqa: DTZ001  # a naive one is what is refused
        (flag(experiment=Experiment(control="maybe")), "experiment.control"),
        (flag(when(slot=Slot(layer="l", start=50, end=50))), "rules[0].slot"),
        (flag(when(schedule=Schedule(since=hours(2), until=hours(1)))), "rules[0].schedule.until"),
        (
            flag(when(schedule=Schedule(ramp=(Step(at=hours(1), percent=1), Step(at=hours(1), percent=2))))),
            "rules[0].schedule.ramp[1].at",
        ),
        (flag(when(condition("matches", "(a"))), "rules[0].conditions[0].values[0]"),
        (flag(when(condition("matches", r"(a)\1"))), "rules[0].conditions[0].values[0]"),
        (flag(when(condition("matches", "a" * 1025))), "rules[0].conditions[0].values[0]"),
        (flag(when(condition("matches", "((a{1,100}){1,100}){1,100}"))), "rules[0].conditions[0].values[0]"),
        (flag(when(condition("version_less", "x"))), "rules[0].conditions[0].values[0]"),
        (flag(when(condition("in_network", "10.0.0.0/33"))), "rules[0].conditions[0].values[0]"),
        (flag(when(condition("before", "soon"))), "rules[0].conditions[0].values"),
        (flag(when(condition("exists", 1))), "rules[0].conditions[0].values"),
        (flag(when(condition("contains", ""))), "rules[0].conditions[0].values"),
        (flag(when(condition("contains", *(f"text {n}" for n in range(1000))))), "rules"),
        (flag(when(), targeting={"if": [True, "on"]}), "targeting"),
        (flag(targeting={"like": ["a", "b"]}), "targeting.like"),
        (flag(targeting={"if": [{"$ref": "nowhere"}, "on"]}), "targeting.if[0].$ref"),
    ],
)
def test_F24_the_refusal_names_the_path(bad, path):
    with pytest.raises(InvalidFlag) as caught:
        check_flag(bad, toolkit())
    assert path in {place for place, _ in caught.value.faults}


def test_every_fault_is_told_at_once():
    bad = flag(when(condition("matches", "("), variant="maybe"), type="string", default_variant="never")
    with pytest.raises(InvalidFlag) as caught:
        check_flag(bad, toolkit())
    assert [path for path, _ in caught.value.faults] == [
        "type",
        "default_variant",
        "rules[0].variant",
        "rules[0].conditions[0].values[0]",
    ]
