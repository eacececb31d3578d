"""Why a flag serves what it serves: each rule in turn, which condition failed, which bucket decided."""

from __future__ import annotations

from typing import Literal

import msgspec

from tradesense.core.flags.attributes import getter
from tradesense.core.flags.buckets import BUCKETS, bucketing, subject_of
from tradesense.core.flags.conditions import World
from tradesense.core.flags.engine import HOLD_OUT, Decision, compile_flag, compile_rule, early
from tradesense.core.flags.flagd.program import compile_targeting
from tradesense.core.flags.models import SUBJECT, Context, Evaluation, Flag, Rule
from tradesense.core.flags.schedules import LAYER, RAMP, reach
from tradesense.core.flags.toolkit import Toolkit

Outcome = Literal["served", "passed", "not reached"]


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that could have decided."""

    path: str
    """Where it stands in the definition, as in ``rules[1]``."""
    outcome: Outcome
    why: str = ""
    buckets: dict[str, float] = {}
    """What was looked at, in percent: ``shares``, ``ramp``, ``slot``, ``hold_out``."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation and the way to it."""

    evaluation: Evaluation
    steps: tuple[Step, ...]


def explain(flag: Flag, context: Context, toolkit: Toolkit, world: World) -> Explanation:
    """Evaluate ``flag`` step by step; the answer is that of the compiled flag.

    :raises InvalidFlag: the toolkit's engine does not take one of its patterns.
    """
    evaluate = compile_flag(flag, toolkit, world)
    walk = _Walk(flag, context, toolkit, world)
    if not flag.enabled or flag.archived:
        walk.take("archived" if flag.archived else "enabled", evaluate, "")
    else:
        walk.before_rules()
        for at, rule in enumerate(flag.rules):
            walk.rule(f"rules[{at}]", rule)
    if walk.answer is None:
        walk.steps.append(Step(path="default_variant", outcome="served"))
    return Explanation(evaluation=evaluate(context), steps=tuple(walk.steps))


class _Walk:
    """Goes through a definition, and takes note of each step and of the first answer."""

    def __init__(self, flag: Flag, context: Context, toolkit: Toolkit, world: World) -> None:
        self._flag = flag
        self._context = context
        self._toolkit = toolkit
        self._world = world
        self.steps: list[Step] = []
        self.answer: Evaluation | None = None

    def take(self, path: str, decide: Decision, why: str, buckets: dict[str, float] | None = None) -> None:
        """Ask one decision, unless there is an answer already; ``why`` it may not have one."""
        outcome: Outcome = "not reached"
        if self.answer is None:
            self.answer = decide(self._context)
            outcome = "passed" if self.answer is None else "served"
        said = why if outcome == "passed" else ""
        self.steps.append(Step(path=path, outcome=outcome, why=said, buckets=buckets or {}))

    def before_rules(self) -> None:
        """Prerequisites, lists and the hold-out, in the order of :func:`early`; then JsonLogic."""
        flag, names = self._flag, list[tuple[str, str]]()
        if flag.prerequisites:
            names.append(("prerequisites", "each serves a variant that is asked for"))
        if flag.users:
            names.append(("users", "the targeting key is in no list"))
        if flag.hold_out is not None:
            names.append(("hold_out", "the targeting key is not held out"))
        for (name, why), decide in zip(names, early(flag, self._toolkit, self._world), strict=True):
            held = flag.hold_out if name == "hold_out" else None
            self.take(name, decide, why, self._place(name, f"{HOLD_OUT}/{held.name}", SUBJECT) if held else None)
        if flag.targeting:
            self.take("targeting", compile_targeting(flag, self._toolkit), "it chose no variant")

    def rule(self, path: str, rule: Rule) -> None:
        """One rule: the first of its guards that does not hold is named."""
        compiled = compile_rule(self._flag, rule, self._toolkit, self._world)
        buckets = self._buckets(rule)
        for guard in compiled.guards:
            if self.answer is None and not guard.holds(self._context):
                why = f"{path}.{guard.path} does not hold"
                self.steps.append(Step(path=path, outcome="passed", why=why, buckets=buckets))
                return
        self.take(path, compiled.decide, "the bucket is in no share", buckets)

    def _buckets(self, rule: Rule) -> dict[str, float]:
        found: dict[str, float] = {}
        salt = self._flag.salt or self._flag.key
        if rule.shares:
            found |= self._place("shares", salt, rule.by)
        if rule.slot is not None:
            found |= self._place("slot", f"{LAYER}/{rule.slot.layer}", rule.by)
        if rule.schedule is not None and rule.schedule.ramp:
            found |= self._place("ramp", f"{RAMP}/{salt}", rule.by)
            found["reach"] = reach(rule.schedule.ramp)(self._toolkit.now())
        return found

    def _place(self, name: str, salt: str, by: str) -> dict[str, float]:
        """Where somebody stands, in percent; nowhere without the attribute."""
        subject = subject_of(getter(by)(self._context))
        if subject is None:
            return {}
        return {name: bucketing(salt, self._flag.generation, self._toolkit.hash32)(subject) * 100 / BUCKETS}
