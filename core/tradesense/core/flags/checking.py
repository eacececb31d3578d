"""Which definitions can be evaluated: each fault with its path, all of them at once."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.core.flags.condition_checks import check_conditions, cost
from tradesense.core.flags.faults import Faults
from tradesense.core.flags.flagd.logic import InvalidLogicError
from tradesense.core.flags.flagd.program import compile_logic
from tradesense.core.flags.keys import (
    MAX_DESCRIPTION,
    MAX_PREREQUISITES,
    MAX_RULES,
    MAX_STEPS,
    MAX_TAGS,
    MAX_VALUES,
    MAX_VARIANTS,
    MAX_WHOLE,
    check_key,
)
from tradesense.core.flags.models import Flag, FlagValue, HoldOut, Rule, Segment, Slot, Step
from tradesense.core.flags.toolkit import EPOCH, Toolkit

WHOLE = 100.0
ROUNDING = 1e-9
MAX_GROUPS = 50
MAX_COST = 2_500.0
"""Microseconds that the worst context may take, by a careful estimate: half of what is promised."""


def check_flag(flag: Flag, toolkit: Toolkit = EPOCH) -> Flag:
    """Return ``flag`` when it can be evaluated.

    :raises InvalidFlag: it cannot; the message names the path of each fault.
    """
    check_key(flag.key)
    faults = Faults()
    _check_variants(flag, faults)
    _check_about(flag, faults)
    _check_people(flag, faults)
    _check_rules(flag, toolkit, faults)
    _check_targeting(flag, toolkit, faults)
    faults.size(flag)
    faults.check()
    return flag


def check_segment(segment: Segment, toolkit: Toolkit = EPOCH) -> Segment:
    """Return ``segment`` when it can be evaluated.

    :raises InvalidFlag: it cannot; the message names the path of each fault.
    """
    check_key(segment.key)
    faults = Faults()
    _check_description(segment.description, faults)
    for name, listed in (("included", segment.included), ("excluded", segment.excluded)):
        faults.unless(len(listed) <= MAX_VALUES, name, f"at most {MAX_VALUES} targeting keys")
    faults.unless(len(segment.groups) <= MAX_GROUPS, "groups", f"at most {MAX_GROUPS} groups")
    for at, group in enumerate(segment.groups[:MAX_GROUPS]):
        faults.unless(bool(group), f"groups[{at}]", "it has no condition, and everybody would be part of it")
        check_conditions(group, f"groups[{at}]", toolkit.patterns, faults)
    _check_cost(sum(cost(condition) for group in segment.groups for condition in group), faults)
    faults.size(segment)
    faults.check()
    return segment


ITSELF = 5.0
"""Microseconds that a flag takes where it has no rule: one that many ask for is evaluated as often."""


def cost_of(flag: Flag) -> float:
    """About how many microseconds the flag takes at most, without the segments and flags that it asks for."""
    return ITSELF + sum(0.5 + sum(cost(condition) for condition in rule.conditions) for rule in flag.rules)


def _check_cost(micros: float, faults: Faults) -> None:
    faults.unless(micros <= MAX_COST, "rules", "its conditions take too long: use fewer patterns and texts to look for")


def _check_variants(flag: Flag, faults: Faults) -> None:
    if not faults.unless(
        1 <= len(flag.variants) <= MAX_VARIANTS,
        "variants",
        f"a flag has 1 to {MAX_VARIANTS} variants, this one {len(flag.variants)}",
    ):
        return
    kinds = {kind_of(value) for value in flag.variants.values()}
    if len(kinds) > 1:
        faults.add("variants", f"all values have one type, these have {', '.join(sorted(kinds))}")
    elif flag.type is not None:
        faults.unless(kinds == {flag.type}, "type", f"the values are of the type {kinds.pop()}, not {flag.type}")
    for name in flag.variants:
        faults.name(name, "variants", what="a variant's name")
    faults.numbers(flag.variants, "variants")
    if flag.default_variant is not None:
        _check_variant(flag, flag.default_variant, "default_variant", faults)
    if flag.experiment is not None:
        _check_variant(flag, flag.experiment.control, "experiment.control", faults)
        faults.unless(0 <= flag.experiment.size <= MAX_WHOLE, "experiment.size", f"it is from 0 to {MAX_WHOLE}")


def _check_description(text: str, faults: Faults) -> None:
    faults.unless(
        len(text) <= MAX_DESCRIPTION,
        "description",
        f"it has at most {MAX_DESCRIPTION} characters, this one {len(text)}",
    )


def _check_about(flag: Flag, faults: Faults) -> None:
    _check_description(flag.description, faults)
    faults.name(flag.owner, "owner", what="an owner", empty=True)
    faults.name(flag.salt, "salt", what="a salt", empty=True)
    faults.unless(len(flag.tags) <= MAX_TAGS, "tags", f"at most {MAX_TAGS} tags")
    for at, tag in enumerate(flag.tags[:MAX_TAGS]):
        faults.name(tag, f"tags[{at}]", what="a tag")
    faults.numbers(flag.metadata, "metadata")
    if flag.expires is not None:
        faults.unless(flag.expires.tzinfo is not None, "expires", "an instant has an offset, as in +00:00 or Z")


def _check_people(flag: Flag, faults: Faults) -> None:
    seen: set[str] = set()
    faults.unless(sum(map(len, flag.users.values())) <= MAX_VALUES, "users", f"at most {MAX_VALUES} targeting keys")
    for variant, users in flag.users.items():
        _check_variant(flag, variant, f"users.{variant}", faults)
        faults.unless(seen.isdisjoint(users), f"users.{variant}", "somebody is in two lists")
        seen.update(users)
    faults.unless(
        len(flag.prerequisites) <= MAX_PREREQUISITES, "prerequisites", f"at most {MAX_PREREQUISITES} prerequisites"
    )
    for at, one in enumerate(flag.prerequisites[:MAX_PREREQUISITES]):
        faults.unless(one.flag != flag.key, f"prerequisites[{at}].flag", "it is the flag itself")
        faults.unless(bool(one.variants), f"prerequisites[{at}].variants", "it is empty, and never met")
    if isinstance(flag.hold_out, HoldOut):
        faults.name(flag.hold_out.name, "hold_out.name", what="a hold-out's name")
        _check_percent(flag.hold_out.percent, "hold_out.percent", faults)


def _check_rules(flag: Flag, toolkit: Toolkit, faults: Faults) -> None:
    if not faults.unless(
        len(flag.rules) <= MAX_RULES, "rules", f"a flag has at most {MAX_RULES} rules, this one {len(flag.rules)}"
    ):
        return
    ended: int | None = None
    for at, rule in enumerate(flag.rules):
        if ended is not None:
            faults.add(f"rules[{at}]", f"it is never reached: rules[{ended}] serves everybody")
            break
        _check_rule(flag, rule, f"rules[{at}]", toolkit, faults)
        if _serves_everybody(rule):
            ended = at
    _check_cost(cost_of(flag), faults)


def _serves_everybody(rule: Rule) -> bool:
    return not (rule.conditions or rule.shares or rule.schedule or rule.slot)


def _check_rule(flag: Flag, rule: Rule, path: str, toolkit: Toolkit, faults: Faults) -> None:
    faults.unless((rule.variant is None) != (not rule.shares), path, "a rule has either a variant or shares")
    if rule.variant is not None:
        _check_variant(flag, rule.variant, f"{path}.variant", faults)
    total = 0.0
    for index, share in enumerate(rule.shares):
        _check_variant(flag, share.variant, f"{path}.shares[{index}].variant", faults)
        _check_percent(share.percent, f"{path}.shares[{index}].percent", faults)
        total += share.percent
    if total > WHOLE + ROUNDING:
        faults.add(f"{path}.shares", f"the percentages add up to {total:g}, more than 100")
    faults.unless(bool(rule.by), f"{path}.by", "it is empty")
    faults.name(rule.name, f"{path}.name", what="a rule's name", empty=True)
    check_conditions(rule.conditions, f"{path}.conditions", toolkit.patterns, faults)
    if rule.slot is not None:
        _check_slot(rule.slot, f"{path}.slot", faults)
    if rule.schedule is not None:
        schedule = rule.schedule
        zoned = all(one is None or one.tzinfo for one in (schedule.since, schedule.until))
        faults.unless(zoned, f"{path}.schedule", "an instant has an offset, as in +00:00 or Z")
        if zoned and schedule.since and schedule.until:
            faults.unless(schedule.since < schedule.until, f"{path}.schedule.until", "it is not after `from`")
        _check_ramp(schedule.ramp, f"{path}.schedule.ramp", faults)


def _check_slot(slot: Slot, path: str, faults: Faults) -> None:
    faults.name(slot.layer, f"{path}.layer", what="a layer's name")
    _check_percent(slot.start, f"{path}.start", faults)
    _check_percent(slot.end, f"{path}.end", faults)
    faults.unless(slot.start < slot.end, path, "it is empty: its end is not after its start")


def _check_ramp(steps: Iterable[Step], path: str, faults: Faults) -> None:
    listed = tuple(steps)
    faults.unless(len(listed) <= MAX_STEPS, path, f"at most {MAX_STEPS} steps")
    for at, step in enumerate(listed[:MAX_STEPS]):
        _check_percent(step.percent, f"{path}[{at}].percent", faults)
        if not faults.unless(step.at.tzinfo is not None, f"{path}[{at}].at", "an instant has an offset"):
            return
        if at:
            faults.unless(listed[at - 1].at < step.at, f"{path}[{at}].at", "it is not after the step before")


def _check_targeting(flag: Flag, toolkit: Toolkit, faults: Faults) -> None:
    if not flag.targeting:
        return
    faults.unless(not flag.rules, "targeting", "a flag has either rules or targeting")
    faults.numbers(flag.targeting, "targeting")
    try:
        compile_logic(flag, toolkit)
    except InvalidLogicError as error:
        faults.add(error.path, error.message)


def _check_percent(percent: float, path: str, faults: Faults) -> None:
    faults.unless(0 <= percent <= WHOLE, path, f"{percent} is not between 0 and 100")


def _check_variant(flag: Flag, variant: str, path: str, faults: Faults) -> None:
    if variant not in flag.variants:
        known = ", ".join(list(flag.variants)[:10])
        faults.add(path, f"there is no variant {variant[:80]!r}; use one of {known}")


def kind_of(value: FlagValue) -> str:
    """The type of a value, as a definition names it."""
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case _:
            return "object"
