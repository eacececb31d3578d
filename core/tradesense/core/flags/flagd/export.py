"""Rules as JsonLogic in flagd's dialect, for those that it can say."""

from __future__ import annotations

from typing import Any

from tradesense.core.flags.buckets import BUCKETS, edge
from tradesense.core.flags.faults import Faults
from tradesense.core.flags.models import FIRST, SUBJECT, Condition, Flag, Rule

_COMPARISONS = {"less": "<", "less_or_equal": "<=", "greater": ">", "greater_or_equal": ">="}
_VERSIONS = {
    "version_equal": "=",
    "version_less": "<",
    "version_greater": ">",
    "version_minor": "~",
    "version_major": "^",
}


def targeting_of(flag: Flag, faults: Faults) -> dict[str, Any] | None:
    """The expression that decides as the flag's rules do; what cannot be said is noted in ``faults``."""
    for name, there in (("prerequisites", flag.prerequisites), ("hold_out", flag.hold_out)):
        faults.unless(not there, f"{flag.key}.{name}", "flagd has nothing like it")
    listed: list[Any] = []
    for variant, users in flag.users.items():
        listed += [{"in": [{"var": SUBJECT}, list(users)]}, variant]
    for at, rule in enumerate(flag.rules):
        path = f"{flag.key}.rules[{at}]"
        faults.unless(rule.schedule is None and rule.slot is None, path, "flagd has no schedules and no slots")
        last = at == len(flag.rules) - 1
        whole = sum(share.percent for share in rule.shares) >= 100  # noqa: PLR2004  # percent
        faults.unless(not rule.shares or last or whole, path, "flagd does not go on to a next rule after shares")
        faults.unless(not rule.shares or flag.generation != FIRST, path, "flagd does not have this bucketing")
        tests = [_test(one, f"{path}.conditions[{index}]", faults) for index, one in enumerate(rule.conditions)]
        listed += [{"and": tests} if tests else True, _served(flag, rule)]
    return {"if": [*listed, None]} if listed else None


def _served(flag: Flag, rule: Rule) -> Any:
    if not rule.shares:
        return rule.variant
    shares: list[list[Any]] = []
    upper = 0.0
    for share in rule.shares:
        shares.append([share.variant, edge(upper + share.percent) - edge(upper)])
        upper += share.percent
    if (rest := BUCKETS - edge(upper)) > 0:
        shares.append([None, rest])
    return {"fractional": [{"cat": [f"{flag.salt or flag.key}/", {"var": rule.by}]}, *shares]}


def _test(condition: Condition, path: str, faults: Faults) -> Any:
    variable = {"var": condition.attribute}
    values = condition.values
    match condition.operator:
        case "in":
            test: Any = {"in": [variable, list(values)]}
        case "not_in":
            test = {"!": {"in": [variable, list(values)]}}
        case "starts_with" | "ends_with":
            test = {"or": [{"===": [{condition.operator: [variable, value]}, True]} for value in values]}
        case "contains":
            test = {"or": [{"in": [value, variable]} for value in values]}
        case "less" | "less_or_equal" | "greater" | "greater_or_equal":
            test = {"and": [{"!==": [variable, None]}, {_COMPARISONS[condition.operator]: [variable, values[0]]}]}
        case "exists":
            test = {"!==": [variable, None]}
        case "version_equal" | "version_less" | "version_greater" | "version_minor" | "version_major":
            test = {"or": [{"sem_ver": [variable, _VERSIONS[condition.operator], value]} for value in values]}
        case _:
            faults.add(path, f"flagd has no operator like {condition.operator}")
            test = False
    return {"!": test} if condition.negate else test
