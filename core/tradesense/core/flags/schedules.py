"""Schedules and slots: when a rule is in force, and for whom of those that it would serve."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from tradesense.core.flags.attributes import Test, getter
from tradesense.core.flags.buckets import bucketing, edge, subject_of
from tradesense.core.flags.models import Context, Flag, Rule, Schedule, Slot, Step
from tradesense.core.flags.toolkit import Toolkit

RAMP = "ramp"
LAYER = "layer"
"""What the salts of ramps and layers begin with, so that they split people independently of the shares."""


def in_force(schedule: Schedule, toolkit: Toolkit) -> Test | None:
    """Whether it is time; ``None`` where it always is."""
    since = schedule.since.timestamp() if schedule.since else float("-inf")
    until = schedule.until.timestamp() if schedule.until else float("inf")
    if schedule.since is None and schedule.until is None:
        return None
    now = toolkit.now
    return lambda _: since <= now() < until


def reach(steps: tuple[Step, ...]) -> Callable[[float], float]:
    """From an instant to the percentage of a ramp."""
    times = [step.at.timestamp() for step in steps]
    percents = [step.percent for step in steps]

    def percent(instant: float) -> float:
        after = bisect_right(times, instant)
        if after == 0:
            return 0.0
        if after == len(times):
            return percents[-1]
        passed = (instant - times[after - 1]) / (times[after] - times[after - 1])
        return percents[after - 1] + passed * (percents[after] - percents[after - 1])

    return percent


def reached(flag: Flag, rule: Rule, steps: tuple[Step, ...], toolkit: Toolkit) -> Test:
    """Whether the ramp reaches somebody by now; whoever has nothing to stick to is not reached."""
    salt = f"{RAMP}/{flag.salt or flag.key}"
    bucket, find, percent = bucketing(salt, flag.generation, toolkit.hash32), getter(rule.by), reach(steps)
    now = toolkit.now

    def test(context: Context) -> bool:
        subject = subject_of(find(context))
        return subject is not None and bucket(subject) < edge(percent(now()))

    return test


def in_slot(slot: Slot, by: str, generation: int, toolkit: Toolkit) -> Test:
    """Whether somebody is in this part of the layer."""
    bucket, find = bucketing(f"{LAYER}/{slot.layer}", generation, toolkit.hash32), getter(by)
    start, end = edge(slot.start), edge(slot.end)

    def test(context: Context) -> bool:
        subject = subject_of(find(context))
        return subject is not None and start <= bucket(subject) < end

    return test
