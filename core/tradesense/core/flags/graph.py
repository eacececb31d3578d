"""What definitions ask of each other: prerequisites among flags, segments among segments; no cycle, no great depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from tradesense.core.flags.checking import MAX_COST, cost_of
from tradesense.core.flags.condition_checks import cost
from tradesense.core.flags.faults import Faults
from tradesense.core.flags.models import Condition, Flag, Segment

MAX_CHAIN = 10
"""How many prerequisites, or segments, may stand one behind the other."""
CYCLE = float("inf")


def segments_in(conditions: Iterable[Condition]) -> set[str]:
    """The segments that conditions ask for."""
    return {str(key) for condition in conditions if condition.operator == "in_segment" for key in condition.values}


def segments_of_flag(flag: Flag) -> set[str]:
    """The segments that a flag asks for."""
    return segments_in(condition for rule in flag.rules for condition in rule.conditions)


def segments_of_segment(segment: Segment) -> set[str]:
    """The segments that a segment asks for."""
    return segments_in(condition for group in segment.groups for condition in group)


class Weights:
    """What evaluating each definition costs at most, together with all that it asks for.

    :param needs: what each key asks for; keys that are not there ask for nothing and cost nothing.
    """

    def __init__(self, needs: Mapping[str, Iterable[str]], own: Callable[[str], float]) -> None:
        wanted = {key: {one for one in asked if one in needs} for key, asked in needs.items()}
        waiting = {key: len(asked) for key, asked in wanted.items()}
        dependents: dict[str, list[str]] = {}
        for key, asked in wanted.items():
            for one in asked:
                dependents.setdefault(one, []).append(key)
        self._known: dict[str, tuple[float, int]] = {}
        ready = [key for key, count in waiting.items() if not count]
        while ready:
            key = ready.pop()
            below = [self._known[one] for one in wanted[key]]
            total = own(key) + sum(micros for micros, _ in below)
            self._known[key] = (total, 1 + max((chain for _, chain in below), default=0))
            for dependent in dependents.get(key, ()):
                waiting[dependent] -= 1
                if not waiting[dependent]:
                    ready.append(dependent)
        self._cyclic = needs.keys() - self._known.keys()

    def of(self, key: str) -> tuple[float, int]:
        """The microseconds, and the length of the longest chain from here; both too many within or above a cycle."""
        if key in self._cyclic:
            return CYCLE, MAX_CHAIN + 1
        return self._known.get(key, (0.0, 0))


class Graph:
    """The definitions of one deployment, as far as they ask for each other."""

    def __init__(self, flags: Mapping[str, Flag], segments: Mapping[str, Segment]) -> None:
        self.flags = flags
        self.segments = segments
        self._segments = Weights({key: segments_of_segment(one) for key, one in segments.items()}, self._segment_cost)
        required = {key: [one.flag for one in flag.prerequisites] for key, flag in flags.items()}
        self._flags = Weights(required, self._flag_cost)

    def sound_segment(self, key: str) -> bool:
        """Whether the segment can be evaluated: no cycle, not too deep, not too dear."""
        return self._sound(self._segments.of(key))

    def sound_flag(self, key: str) -> bool:
        """Whether the flag can be evaluated."""
        return self._sound(self._flags.of(key))

    def check_flag(self, flag: Flag) -> None:
        """Refuse a flag that asks for what is not there, for itself, or for too much.

        :raises InvalidFlag: the message names the path of each fault.
        """
        faults = Faults()
        for at, one in enumerate(flag.prerequisites):
            other = self.flags.get(one.flag)
            path = f"prerequisites[{at}]"
            if other is None:
                faults.add(f"{path}.flag", f"there is no flag {one.flag[:80]!r}")
            elif not all(variant in other.variants for variant in one.variants):
                faults.add(f"{path}.variants", f"{one.flag!r} does not have all of them")
            elif not self.sound_flag(one.flag):
                faults.add(f"{path}.flag", "prerequisites form a cycle, or stand too many behind each other")
        for at, rule in enumerate(flag.rules):
            for index, condition in enumerate(rule.conditions):
                self._check_segments(condition, f"rules[{at}].conditions[{index}].values", faults)
        if not faults.found and not self.sound_flag(flag.key):
            faults.add(
                "prerequisites", "they form a cycle, stand too many behind each other, or take too long together"
            )
        self._check_slots(flag, faults)
        faults.check()

    def check_segment(self, segment: Segment) -> None:
        """Refuse a segment that asks for what is not there, for itself, or for too much.

        :raises InvalidFlag: the message names the path of each fault.
        """
        faults = Faults()
        for at, group in enumerate(segment.groups):
            for index, condition in enumerate(group):
                self._check_segments(condition, f"groups[{at}][{index}].values", faults)
        if not faults.found and not self.sound_segment(segment.key):
            faults.add("groups", "its segments form a cycle, stand too many behind each other, or take too long")
        faults.check()

    def broken_since(self, before: Graph) -> list[str]:
        """The flags and segments that could be evaluated ``before`` and cannot now, by name."""
        segments = [key for key in self.segments if before.sound_segment(key) and not self.sound_segment(key)]
        flags = [key for key in self.flags if before.sound_flag(key) and not self.sound_flag(key)]
        return [*(f"segment {key}" for key in segments), *(f"flag {key}" for key in flags)]

    def users_of(self, kind: Literal["flag", "segment"], key: str) -> list[str]:
        """What refers to the definition, in words, as in ``flag new-checkout``."""
        if kind == "flag":
            return [
                f"flag {one}"
                for one, flag in self.flags.items()
                if any(need.flag == key for need in flag.prerequisites)
            ]
        flags = [f"flag {one}" for one, flag in self.flags.items() if key in segments_of_flag(flag)]
        return flags + [f"segment {one}" for one, other in self.segments.items() if key in segments_of_segment(other)]

    def _check_segments(self, condition: Condition, path: str, faults: Faults) -> None:
        if condition.operator != "in_segment":
            return
        for at, key in enumerate(condition.values):
            if str(key) not in self.segments:
                faults.add(f"{path}[{at}]", f"there is no segment {str(key)[:80]!r}")
            elif not self.sound_segment(str(key)):
                faults.add(f"{path}[{at}]", "segments form a cycle, or stand too many behind each other")

    def _check_slots(self, flag: Flag, faults: Faults) -> None:
        """Slots of one layer in two flags must not overlap: they are experiments that exclude each other."""
        taken = [
            (slot.layer, slot.start, slot.end, other.key)
            for other in self.flags.values()
            if other.key != flag.key and not other.archived
            for rule in other.rules
            if (slot := rule.slot) is not None
        ]
        for at, rule in enumerate(flag.rules):
            if (slot := rule.slot) is None:
                continue
            for layer, start, end, key in taken:
                if layer == slot.layer and slot.start < end and start < slot.end:
                    faults.add(f"rules[{at}].slot", f"it overlaps with a slot of {key!r} in this layer")
                    break

    @staticmethod
    def _sound(weight: tuple[float, int]) -> bool:
        micros, chain = weight
        return micros <= 2 * MAX_COST and chain <= MAX_CHAIN

    def _segment_cost(self, key: str) -> float:
        segment = self.segments.get(key)
        return sum(cost(one) for group in segment.groups for one in group) if segment else 0.0

    def _flag_cost(self, key: str) -> float:
        flag = self.flags.get(key)
        if flag is None:
            return 0.0
        asked = (
            str(segment)
            for rule in flag.rules
            for condition in rule.conditions
            if condition.operator == "in_segment"
            for segment in condition.values
        )
        return cost_of(flag) + sum(self._segments.of(segment)[0] for segment in asked)
