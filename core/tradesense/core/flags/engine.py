"""Definitions compiled to closures: all decisions that do not depend on the context are taken once.

Evaluation is pure and never raises. Bucketing (generation 1) takes the first eight bytes of a BLAKE2b hash of the
flag's key and the sticky attribute, and is the same in every process and on every platform.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from tradesense.core.flags.models import Condition, Context, ErrorCode, Evaluation, Flag, Reason, Rule

BUCKETS = 100_000

Test = Callable[[Context], bool]
Decision = Callable[[Context], Evaluation | None]
Compiled = Callable[[Context], Evaluation]


def bucket(salt: str, subject: str) -> int:
    """Which of 100,000 buckets ``subject`` falls into under ``salt``."""
    digest = blake2b(f"{salt}\0{subject}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") * BUCKETS >> 64


def compile_flag(flag: Flag) -> Compiled:
    """The function that evaluates ``flag``, which must have passed :func:`check_flag`."""
    if not flag.enabled:
        disabled = Evaluation(key=flag.key, reason=Reason.DISABLED, error_code=None)
        return lambda _: disabled
    reason = Reason.DEFAULT if flag.rules else Reason.STATIC
    fallback = _serve(flag, flag.default_variant, reason)
    if not flag.rules:
        return lambda _: fallback
    decisions = tuple(_compile_rule(flag, rule) for rule in flag.rules)

    def evaluate(context: Context) -> Evaluation:
        for decide in decisions:
            if (answer := decide(context)) is not None:
                return answer
        return fallback

    return evaluate


def _compile_rule(flag: Flag, rule: Rule) -> Decision:
    tests = tuple(_compile_condition(condition) for condition in rule.conditions)
    decide = _fixed(flag, rule) if rule.variant is not None else _rollout(flag, rule)
    if not tests:
        return decide

    def guarded(context: Context) -> Evaluation | None:
        for holds in tests:
            if not holds(context):
                return None
        return decide(context)

    return guarded


def _fixed(flag: Flag, rule: Rule) -> Decision:
    answer = _serve(flag, rule.variant or "", Reason.TARGETING_MATCH)
    return lambda _: answer


def _rollout(flag: Flag, rule: Rule) -> Decision:
    key, by = flag.key, rule.by
    missing = Evaluation(
        key=key,
        reason=Reason.ERROR,
        error_code=ErrorCode.TARGETING_KEY_MISSING,
        error_details=f"the roll-out needs the attribute {by!r}",
    )
    bounds: list[tuple[int, Evaluation]] = []
    upper = 0.0
    for share in rule.shares:
        upper += share.percent
        bounds.append((round(upper * BUCKETS / 100), _serve(flag, share.variant, Reason.SPLIT)))
    edges = tuple(bounds)

    def decide(context: Context) -> Evaluation | None:
        subject = context.get(by)
        if subject is None or subject == "":
            return missing
        place = bucket(key, subject if isinstance(subject, str) else str(subject))
        for edge, answer in edges:
            if place < edge:
                return answer
        return None

    return decide


def _compile_condition(condition: Condition) -> Test:
    attribute, values = condition.attribute, condition.values
    match condition.operator:
        case "in":
            return _membership(attribute, values, present=True)
        case "not_in":
            return _membership(attribute, values, present=False)
        case "starts_with" | "ends_with":
            affixes = tuple(value for value in values if isinstance(value, str))
            return _affix(attribute, affixes, start=condition.operator == "starts_with")
        case "less" | "greater":
            return _order(attribute, values[0], less=condition.operator == "less")


def _membership(attribute: str, values: tuple[Any, ...], *, present: bool) -> Test:
    # Python says that True == 1; a flag must not.
    wanted = frozenset((type(value) is bool, value) for value in values)

    def test(context: Context) -> bool:
        value = context.get(attribute)
        if not isinstance(value, str | int | float | bool):
            return not present
        return ((type(value) is bool, value) in wanted) is present

    return test


def _affix(attribute: str, affixes: tuple[str, ...], *, start: bool) -> Test:
    def test(context: Context) -> bool:
        value = context.get(attribute)
        return isinstance(value, str) and (value.startswith(affixes) if start else value.endswith(affixes))

    return test


def _order(attribute: str, bound: Any, *, less: bool) -> Test:
    limit: float = bound  # not converted: an integer may be too large for a float

    def test(context: Context) -> bool:
        value = context.get(attribute)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return value < limit if less else value > limit

    return test


def _serve(flag: Flag, variant: str, reason: Reason) -> Evaluation:
    return Evaluation(key=flag.key, value=flag.variants[variant], variant=variant, reason=reason)
