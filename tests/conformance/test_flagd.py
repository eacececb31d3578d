"""flagd's evaluator scenarios, read in place: every one of them, in both generations of bucketing."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

import conformancekit
import flagkit
from tradesense.core.flags.flagd import document
from tradesense.core.flags.models import FIRST, SECOND
from tradesense.core.flags.typed import typed

SUITE = conformancekit.folder("flagd")
GENERATIONS = {"v1": FIRST, "v2": SECOND}


def cases():
    """Each scenario in each generation that it is meant for. Nested shares are spelled out for the second one alone."""
    if SUITE is None:
        yield pytest.param(None, None, marks=pytest.mark.skip(reason="there is no ../shared/conformance/flagd"))
        return
    for feature in sorted((SUITE / "gherkin").glob("*.feature")):
        for one in conformancekit.scenarios(feature.read_text()):
            for name, generation in GENERATIONS.items():
                if f"fractional-{'v1' if name == 'v2' else 'v2'}" in one.tags - {f"fractional-{name}"}:
                    continue
                if name == "v1" and "fractional-nested" in one.tags:
                    continue
                yield pytest.param(one, generation, id=f"{feature.stem}: {one.name} ({name})")


CASES = list(cases())


class World:
    """What the steps of one scenario speak of."""

    def __init__(self, library):
        self.library = library
        self.context = {}
        self.key = self.kind = self.fallback = self.answer = None

    def flag(self, kind, key, fallback):
        self.key, self.kind, self.fallback = key, kind.lower(), value_of(kind, fallback)

    def attribute(self, key, kind, text):
        self.context[key] = value_of(kind, text)

    def nested(self, outer, inner, text):
        self.context.setdefault(outer, {})[inner] = text

    def subject(self, text):
        self.context["targetingKey"] = text

    def evaluate(self):
        self.answer = typed(self.library.evaluate(self.key, self.context), self.kind)

    def value(self, text):
        found = self.fallback if self.answer.variant is None else self.answer.value
        assert found == value_of(self.kind.capitalize(), text)
        assert type(found) is type(value_of(self.kind.capitalize(), text))

    def reason(self, text):
        assert self.answer.reason == text

    def error(self, text):
        assert self.answer.error_code == text

    def metadata(self, rows):
        for row in rows:
            assert self.answer.metadata[row["key"]] == value_of(row["metadata_type"], row["value"])

    def no_metadata(self):
        assert self.answer.metadata == {}


QUOTED = r'"(.*)"'
STEPS = {
    r"an evaluator": lambda _: None,
    rf"a (\w+)-flag with key {QUOTED} and a fallback value {QUOTED}": World.flag,
    rf"a context containing a key {QUOTED}, with type {QUOTED} and with value {QUOTED}": World.attribute,
    rf"a context containing a nested property with outer key {QUOTED} and inner key {QUOTED}, with value {QUOTED}": (
        World.nested
    ),
    rf"a context containing a targeting key with value {QUOTED}": World.subject,
    r"the flag was evaluated with details": World.evaluate,
    rf"the resolved details value should be {QUOTED}": World.value,
    rf"the reason should be {QUOTED}": World.reason,
    rf"the error-code should be {QUOTED}": World.error,
    r"the resolved metadata should contain": World.metadata,
    r"the resolved metadata is empty": World.no_metadata,
}


def value_of(kind, text):
    match kind:
        case "Boolean":
            return text == "true"
        case "Integer":
            return int(text)
        case "Float":
            return float(text)
        case "Object":
            return json.loads(text.replace('\\"', '"'))
        case _:
            return text


def libraries():
    text = (SUITE / "testkit-flags.json").read_text()
    return {one: flagkit.library(*document.read(text, generation=one)) for one in GENERATIONS.values()}


@pytest.fixture(scope="module")
def loaded():
    return libraries()


@pytest.mark.parametrize(("scenario", "generation"), CASES)
def test_a_scenario_of_flagd_holds(loaded, scenario, generation):
    world = World(loaded[generation])
    for at, step in enumerate(scenario.steps):
        run, words = next((run, m) for pattern, run in STEPS.items() if (m := re.fullmatch(pattern, step)))
        run(world, *words.groups(), *([scenario.tables[at]] if at in scenario.tables else []))
    assert world.answer is not None


@pytest.mark.skipif(SUITE is None, reason="there is no ../shared/conformance/flagd")
def test_no_scenario_is_left_out():
    """Counted by hand from the text, so that a scenario the reader overlooks is missed."""
    rows = 0
    for feature in (SUITE / "gherkin").glob("*.feature"):
        text = feature.read_text()
        rows += len(re.findall(r"^\s*Scenario:", text, re.MULTILINE))
        for block in re.split(r"^\s*Examples:", text, flags=re.MULTILINE)[1:]:
            table = re.match(r"[^\n]*\n((?:\s*\|.*\n?)+)", block)
            rows += len(table.group(1).strip().splitlines()) - 1
    told = Counter(id(case.values[0]) for case in CASES)
    assert len(told) == rows


def test_what_is_exported_serves_everybody_the_same():
    tools = (
        flagkit.condition("in", "pro", "team", attribute="plan"),
        flagkit.condition("greater", 17, attribute="age"),
    )
    rule = flagkit.when(*tools, name="first")
    split = flagkit.when(shares=flagkit.shares(on=12.345, off=50))
    native = flagkit.flag(rule, split, users={"on": ("ada",)}, default_variant="off")
    (back,) = document.read(document.write([native]))
    one, other = flagkit.compiled(native), flagkit.compiled(back)
    for person in [*flagkit.PEOPLE[:3000], "ada"]:
        for more in ({}, {"plan": "pro", "age": 20}, {"plan": "pro"}):
            context = {"targetingKey": person, **more}
            assert one(context).variant == other(context).variant


def test_flagd_core_serves_the_same_for_plain_flags():
    from openfeature.contrib.tools.flagd.core import FlagdCore  # noqa: PLC0415  # only this test needs the peer
    from openfeature.evaluation_context import EvaluationContext  # noqa: PLC0415  # the same

    native = flagkit.flag(
        flagkit.when(flagkit.condition("version_greater", "2.0.0")),
        flagkit.when(flagkit.condition("starts_with", "abc", "xyz"), variant="off"),
        flagkit.when(flagkit.condition("not_in", "x"), flagkit.condition("exists")),
    )
    peer = FlagdCore()
    peer.set_flags(document.write([native]).decode())
    evaluate = flagkit.compiled(native)
    for value in ("2.1.0", "1.0.0", "abcd", "xyz", "x", "y"):
        answer = peer.resolve_boolean_value("f", False, EvaluationContext("u", {"a": value}))
        assert answer.value is evaluate({"targetingKey": "u", "a": value}).value
