"""The compiled definitions of one deployment. Each is compiled once per revision; the rest refers to it by key."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.attributes import Test
from tradesense.core.flags.conditions import World
from tradesense.core.flags.engine import Compiled, compile_flag
from tradesense.core.flags.graph import Graph, segments_of_flag
from tradesense.core.flags.models import Context, ErrorCode, Evaluation, Flag, Reason, Segment, StoredFlag
from tradesense.core.flags.segments import compile_segment
from tradesense.core.flags.toolkit import Toolkit


@dataclass(frozen=True, slots=True)
class _Entry:
    flag: Flag
    revision: int
    evaluate: Compiled
    asks: bool
    """Whether it refers to another definition."""


class Library:
    """Evaluates flags by key. It is changed as a whole, between two evaluations."""

    def __init__(self, toolkit: Toolkit) -> None:
        self.toolkit = toolkit
        self.version = 0
        """Grows with every change; what one version serves to somebody stays, schedules apart."""
        self._segments: dict[str, Test] = {}
        self._evaluate: dict[str, Compiled] = {}
        self.world = World(self._segments, self._evaluate)
        self._entries: dict[str, _Entry] = {}
        self._segment_rows: dict[str, Segment] = {}
        self._listed: tuple[str, ...] = ()
        self.measured: dict[str, frozenset[Reason]] = {}
        """The flags that are experiments, and the reasons by which chance decided."""

    @property
    def flags(self) -> dict[str, Flag]:
        """The definitions by key."""
        return {key: entry.flag for key, entry in self._entries.items()}

    @property
    def segments(self) -> dict[str, Segment]:
        """The segments by key."""
        return self._segment_rows

    def graph(self, *flags: Flag, segment: Segment | None = None) -> Graph:
        """What refers to what, as it would be with these definitions in place of theirs."""
        segments = self._segment_rows if segment is None else {**self._segment_rows, segment.key: segment}
        return Graph({**self.flags, **{flag.key: flag for flag in flags}}, segments)

    def load(self, flags: Iterable[StoredFlag], segments: Sequence[Segment] = ()) -> None:
        """Let these be all definitions. What has the revision that it had is not compiled again."""
        with _uncollected():
            self._load(flags, segments)

    def _load(self, flags: Iterable[StoredFlag], segments: Sequence[Segment]) -> None:
        self._load_segments(segments)
        entries: dict[str, _Entry] = {}
        for stored in flags:
            known = self._entries.get(stored.flag.key)
            same = known is not None and known.revision == stored.revision
            entries[stored.flag.key] = known if known is not None and same else self._compiled(stored)
        self._entries = entries
        graph = self._graph_of_askers(entries)
        self._evaluate.clear()
        for key, entry in entries.items():
            sound = not entry.asks or graph.sound_flag(key)
            self._evaluate[key] = (
                entry.evaluate if sound else _broken(key, "what it refers to forms a cycle, or goes too deep")
            )
        self._listed = tuple(sorted(key for key, entry in entries.items() if not entry.flag.archived))
        self.measured = {key: _by_chance(entry.flag) for key, entry in entries.items() if entry.flag.experiment}
        self.version += 1

    def evaluate(self, key: str, context: Context) -> Evaluation:
        """Evaluate one flag. It never raises: the error is in the answer."""
        compiled = self._evaluate.get(key)
        if compiled is None:
            return Evaluation(
                key=key,
                reason=Reason.ERROR,
                error_code=ErrorCode.FLAG_NOT_FOUND,
                error_details="there is no such flag",
            )
        return compiled(context)

    def evaluate_all(self, context: Context) -> list[Evaluation]:
        """Evaluate every flag that is not archived, by key."""
        evaluate = self._evaluate
        return [evaluate[key](context) for key in self._listed]

    def get(self, key: str) -> Flag | None:
        """The definition of a flag."""
        entry = self._entries.get(key)
        return entry.flag if entry else None

    def _graph_of_askers(self, entries: dict[str, _Entry]) -> Graph:
        askers = {key: entry.flag for key, entry in entries.items() if entry.asks}
        needed = {one.flag for flag in askers.values() for one in flag.prerequisites}
        return Graph(askers | {key: entries[key].flag for key in needed if key in entries}, self._segment_rows)

    def _compiled(self, stored: StoredFlag) -> _Entry:
        flag = stored.flag
        try:
            evaluate = compile_flag(flag, self.toolkit, self.world)
        except (InvalidFlag, KeyError) as error:
            # It was written by another release, or past the service: the flag alone is out of order.
            evaluate = _broken(flag.key, f"the definition cannot be evaluated: {error}")
        asks = bool(flag.prerequisites) or bool(segments_of_flag(flag))
        return _Entry(flag, stored.revision, evaluate, asks)

    def _load_segments(self, segments: Sequence[Segment]) -> None:
        rows = {segment.key: segment for segment in segments}
        if _encoded(rows) == _encoded(self._segment_rows):
            return
        self._segment_rows = rows
        graph = Graph({}, rows)
        self._segments.clear()
        for key, segment in rows.items():
            if not graph.sound_segment(key):
                continue
            try:
                self._segments[key] = compile_segment(segment, self.toolkit, self.world)
            except InvalidFlag:
                continue  # nobody is part of a segment that cannot be evaluated


def _by_chance(flag: Flag) -> frozenset[Reason]:
    """JsonLogic does not say what decided in it; whoever it speaks of takes part."""
    return frozenset({Reason.SPLIT, Reason.TARGETING_MATCH} if flag.targeting else {Reason.SPLIT})


@contextmanager
def _uncollected() -> Generator[None]:
    """Many closures are made at once, and all of them stay: looking for garbage among them costs more than they do."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _encoded(rows: dict[str, Segment]) -> bytes:
    return msgspec.json.encode(list(rows.values()))


def _broken(key: str, details: str) -> Compiled:
    answer = Evaluation(key=key, reason=Reason.ERROR, error_code=ErrorCode.GENERAL, error_details=details)
    return lambda _: answer
