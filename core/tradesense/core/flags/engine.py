"""Definitions compiled to closures: all decisions that do not depend on the context are taken once.

Evaluation is a function of the definition, the context and, where there is a schedule, the time. It never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from tradesense.core.flags.attributes import Test, getter
from tradesense.core.flags.buckets import bucketing, edge, subject_of
from tradesense.core.flags.conditions import World, compile_condition
from tradesense.core.flags.flagd.program import compile_targeting
from tradesense.core.flags.models import SUBJECT, Context, ErrorCode, Evaluation, Flag, HoldOut, Reason, Rule
from tradesense.core.flags.schedules import in_force, in_slot, reached
from tradesense.core.flags.toolkit import EPOCH, Toolkit

Decision = Callable[[Context], Evaluation | None]
Compiled = Callable[[Context], Evaluation]

HOLD_OUT = "hold-out"


@dataclass(frozen=True, slots=True)
class Guard:
    """One thing that must hold for a rule to serve, and what to call it."""

    path: str
    holds: Test


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule in parts, for those who explain it."""

    guards: tuple[Guard, ...]
    decide: Decision
    answer: Evaluation | None
    """What it serves, where that is the same for everybody."""


def compile_flag(flag: Flag, toolkit: Toolkit = EPOCH, world: World | None = None) -> Compiled:
    """The function that evaluates ``flag``, which must have passed :func:`check_flag`.

    :raises InvalidFlag: the toolkit's engine does not take one of its patterns.
    """
    if not flag.enabled or flag.archived:
        disabled = Evaluation(key=flag.key, reason=Reason.DISABLED, metadata=flag.metadata)
        return lambda _: disabled
    world = world or World()
    decisions = [*early(flag, toolkit, world)]
    if flag.targeting:
        decisions.append(compile_targeting(flag, toolkit))
    decisions += _joined([compile_rule(flag, rule, toolkit, world) for rule in flag.rules])
    reason = Reason.STATIC if not decisions and flag.default_variant is not None else Reason.DEFAULT
    fallback = served(flag, flag.default_variant, reason)
    return _chain(tuple(decisions), fallback)


def _chain(decisions: tuple[Decision, ...], fallback: Evaluation) -> Compiled:
    if not decisions:
        return lambda _: fallback
    if len(decisions) == 1:
        only = decisions[0]
        return lambda context: only(context) or fallback

    def evaluate(context: Context) -> Evaluation:
        for decide in decisions:
            if (answer := decide(context)) is not None:
                return answer
        return fallback

    return evaluate


def early(flag: Flag, toolkit: Toolkit, world: World) -> list[Decision]:
    """What goes before the rules: prerequisites, then lists of users, then the hold-out."""
    decisions: list[Decision] = []
    if flag.prerequisites:
        decisions.append(_prerequisites(flag, world))
    if flag.users:
        decisions.append(_users(flag))
    if flag.hold_out is not None:
        decisions.append(_hold_out(flag, flag.hold_out, toolkit))
    return decisions


def _prerequisites(flag: Flag, world: World) -> Decision:
    unmet = served(flag, flag.default_variant, Reason.DEFAULT)
    wanted = tuple((one.flag, frozenset(one.variants)) for one in flag.prerequisites)

    def decide(context: Context) -> Evaluation | None:
        for key, variants in wanted:
            if world.served(key, context) not in variants:
                return unmet
        return None

    return decide


def _users(flag: Flag) -> Decision:
    answers = {
        user: served(flag, variant, Reason.TARGETING_MATCH) for variant, users in flag.users.items() for user in users
    }

    def decide(context: Context) -> Evaluation | None:
        subject = context.get(SUBJECT)
        return answers.get(subject) if isinstance(subject, str) else None

    return decide


def _hold_out(flag: Flag, hold_out: HoldOut, toolkit: Toolkit) -> Decision:
    bucket, limit = bucketing(f"{HOLD_OUT}/{hold_out.name}", flag.generation, toolkit.hash32), edge(hold_out.percent)
    held = served(flag, flag.default_variant, Reason.DEFAULT)

    def decide(context: Context) -> Evaluation | None:
        subject = subject_of(context.get(SUBJECT))
        return held if subject is not None and bucket(subject) < limit else None

    return decide


def compile_rule(flag: Flag, rule: Rule, toolkit: Toolkit, world: World) -> CompiledRule:
    """A rule in parts: time first, as it is cheapest, then conditions, slot and ramp, then what it serves."""
    guards: list[Guard] = []
    if rule.schedule is not None and (force := in_force(rule.schedule, toolkit)) is not None:
        guards.append(Guard("schedule", force))
    guards += [
        Guard(f"conditions[{at}]", compile_condition(condition, toolkit, world))
        for at, condition in enumerate(rule.conditions)
    ]
    if rule.slot is not None:
        guards.append(Guard("slot", in_slot(rule.slot, rule.by, flag.generation, toolkit)))
    if rule.schedule is not None and rule.schedule.ramp:
        guards.append(Guard("schedule.ramp", reached(flag, rule, rule.schedule.ramp, toolkit)))
    if rule.shares:
        return CompiledRule(tuple(guards), _rollout(flag, rule, toolkit), None)
    answer = served(flag, rule.variant, Reason.TARGETING_MATCH)
    return CompiledRule(tuple(guards), lambda _: answer, answer)


def _joined(rules: list[CompiledRule]) -> Iterator[Decision]:
    """The rules as decisions; those in a row that ask one thing and serve one answer become one, with fewer calls."""
    for simple, row in groupby(rules, key=lambda rule: rule.answer is not None and len(rule.guards) == 1):
        found = tuple(row)
        if simple and len(found) > 1:
            yield _first_of(tuple((rule.guards[0].holds, rule.answer) for rule in found))
        else:
            yield from map(_whole, found)


def _first_of(pairs: tuple[tuple[Test, Evaluation | None], ...]) -> Decision:
    def decide(context: Context) -> Evaluation | None:
        for holds, answer in pairs:
            if holds(context):
                return answer
        return None

    return decide


def _whole(rule: CompiledRule) -> Decision:
    tests, decide, answer = tuple(guard.holds for guard in rule.guards), rule.decide, rule.answer
    if not tests:
        return decide
    if len(tests) == 1:
        only = tests[0]
        if answer is not None:
            return lambda context: answer if only(context) else None
        return lambda context: decide(context) if only(context) else None

    def guarded(context: Context) -> Evaluation | None:
        for holds in tests:
            if not holds(context):
                return None
        return decide(context)

    return guarded


def _rollout(flag: Flag, rule: Rule, toolkit: Toolkit) -> Decision:
    find, bucket = getter(rule.by), bucketing(flag.salt or flag.key, flag.generation, toolkit.hash32)
    missing = Evaluation(
        key=flag.key,
        reason=Reason.ERROR,
        error_code=ErrorCode.TARGETING_KEY_MISSING,
        error_details=f"the roll-out needs the attribute {rule.by!r}",
        metadata=flag.metadata,
    )
    edges, by, plain = cumulative(flag, rule), rule.by, "." not in rule.by

    def decide(context: Context) -> Evaluation | None:
        subject = context.get(by) if plain else find(context)
        if type(subject) is not str or not subject:
            subject = subject_of(subject)
            if subject is None:
                return missing
        place = bucket(subject)
        for limit, answer in edges:
            if place < limit:
                return answer
        return None

    return decide


def cumulative(flag: Flag, rule: Rule) -> tuple[tuple[int, Evaluation], ...]:
    """The first bucket after each share, and what the share serves."""
    bounds: list[tuple[int, Evaluation]] = []
    upper = 0.0
    for share in rule.shares:
        upper += share.percent
        bounds.append((edge(upper), served(flag, share.variant, Reason.SPLIT)))
    return tuple(bounds)


def served(flag: Flag, variant: str | None, reason: Reason) -> Evaluation:
    """The answer with this variant; without one, the caller's own default."""
    value = None if variant is None else flag.variants[variant]
    return Evaluation(key=flag.key, value=value, variant=variant, reason=reason, metadata=flag.metadata)
