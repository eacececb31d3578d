"""Flag definitions, segments and what experiments count, in memory."""

from __future__ import annotations

from tradesense.adapters.memory._changes import MemoryChanges
from tradesense.adapters.memory._definitions import MemoryDefinitions
from tradesense.adapters.memory._experiments import MemoryExperiments
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.ambient import Clock
from tradesense.core.flags.kinds import FLAG, SEGMENT
from tradesense.core.flags.models import Flag, Segment, StoredFlag, StoredSegment
from tradesense.core.flags.ports import WritableFlagStore, WritableSegmentStore
from tradesense.plugins.manifest import AdapterContext, NoSettings


class MemoryFlagStore(MemoryDefinitions[Flag, StoredFlag]):
    """Flags that end with the process. See :class:`WritableFlagStore`."""

    def __init__(self, state: MemoryState, *, clock: Clock) -> None:
        super().__init__(state, clock=clock, kind=FLAG)


class MemorySegmentStore(MemoryDefinitions[Segment, StoredSegment]):
    """Segments that end with the process. See :class:`WritableSegmentStore`."""

    def __init__(self, state: MemoryState, *, clock: Clock) -> None:
        super().__init__(state, clock=clock, kind=SEGMENT)


def store(_: NoSettings, context: AdapterContext) -> MemoryFlagStore:
    """The factory of the flags."""
    return MemoryFlagStore(context.share(MemoryState, MemoryState), clock=context.clock)


def segments(_: NoSettings, context: AdapterContext) -> MemorySegmentStore:
    """The factory of the segments."""
    return MemorySegmentStore(context.share(MemoryState, MemoryState), clock=context.clock)


def changes(_: NoSettings, context: AdapterContext) -> MemoryChanges:
    """The factory of the changes that wait."""
    return MemoryChanges(context.share(MemoryState, MemoryState))


def experiments(_: NoSettings, context: AdapterContext) -> MemoryExperiments:
    """The factory of what experiments count."""
    return MemoryExperiments(context.share(MemoryState, MemoryState))


_: type[WritableFlagStore] = MemoryFlagStore
_segments: type[WritableSegmentStore] = MemorySegmentStore
