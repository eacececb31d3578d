"""Flag definitions, segments and exposures in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tradesense.adapters.memory._definitions import MemoryDefinitions
from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.ambient import Clock
from tradesense.core.flags.kinds import FLAG, SEGMENT
from tradesense.core.flags.models import Exposure, Flag, Segment, StoredFlag, StoredSegment
from tradesense.core.flags.ports import ExposureSink, WritableFlagStore, WritableSegmentStore
from tradesense.plugins.manifest import AdapterContext, NoSettings

KEPT_EXPOSURES = 10_000


class MemoryFlagStore(MemoryDefinitions[Flag, StoredFlag]):
    """Flags that end with the process. See :class:`WritableFlagStore`."""

    def __init__(self, state: MemoryState, *, clock: Clock) -> None:
        super().__init__(state, clock=clock, kind=FLAG)


class MemorySegmentStore(MemoryDefinitions[Segment, StoredSegment]):
    """Segments that end with the process. See :class:`WritableSegmentStore`."""

    def __init__(self, state: MemoryState, *, clock: Clock) -> None:
        super().__init__(state, clock=clock, kind=SEGMENT)


def _kept(_: MemoryState) -> deque[Exposure]:
    return deque(maxlen=KEPT_EXPOSURES)


class MemoryExposures(Lifecycle):
    """Keeps the last 10,000 exposures. See :class:`ExposureSink`."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__()
        self.recorded = state.part(_kept)
        """The exposures, oldest first."""

    async def record(self, exposures: Sequence[Exposure]) -> None:
        """See :meth:`ExposureSink.record`."""
        self.check_open()
        self.recorded.extend(exposures)


def store(_: NoSettings, context: AdapterContext) -> MemoryFlagStore:
    """The factory of the flags."""
    return MemoryFlagStore(context.share(MemoryState, MemoryState), clock=context.clock)


def segments(_: NoSettings, context: AdapterContext) -> MemorySegmentStore:
    """The factory of the segments."""
    return MemorySegmentStore(context.share(MemoryState, MemoryState), clock=context.clock)


def exposures(_: NoSettings, context: AdapterContext) -> MemoryExposures:
    """The factory of the sink."""
    return MemoryExposures(context.share(MemoryState, MemoryState))


_: type[WritableFlagStore] = MemoryFlagStore
_segments: type[WritableSegmentStore] = MemorySegmentStore
_exposures: type[ExposureSink] = MemoryExposures
