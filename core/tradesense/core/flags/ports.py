"""Where flag definitions are kept, where exposures go, and what the engine is lent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from tradesense.core.flags.models import Conversion, Exposure, Flag, Segment, StoredFlag, StoredSegment, Tallies
from tradesense.core.flags.requests import ChangeRequest, State
from tradesense.core.paging import Page

D_contra = TypeVar("D_contra", contravariant=True)
S = TypeVar("S")

Search = Callable[[str], bool]
"""Whether a pattern is found in a text."""


class DefinitionStore(Protocol[S]):
    """Definitions of one kind, flags or segments, by key with revisions.

    Every method may raise :class:`DatabaseUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def get(self, key: str) -> S:
        """The definition in force.

        :raises FlagNotFound: there is none; of segments, :class:`SegmentNotFound`.
        """
        ...

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[S]:
        """The definitions in force by key, ``limit`` (1 to 1000) a page.

        :raises InvalidInput: ``cursor`` is not one that this list can have given out.
        """
        ...

    async def generation(self) -> int:
        """A number that is another after every change of any flag or segment of the provider, cheap to ask for.

        Where definitions can be written, it grows. Whoever has seen a generation sees every change up to it.
        """
        ...


class WritableDefinitionStore(DefinitionStore[S], Protocol[D_contra, S]):
    """One that can be written. Writes join the transaction of their task, if one is open; a revision is never lost."""

    async def put(self, definition: D_contra, /, *, expected: int | None = None, by: str = "") -> S:
        """Write a new revision and return it. Of concurrent writes with one ``expected``, one wins.

        :param expected: the revision that must be current, 0 for none; any when left out.
        :param by: who writes it.
        :raises FlagConflict: another revision is current, and nothing was written; of segments, a
            :class:`SegmentConflict`.
        """
        ...

    async def delete(self, key: str, *, expected: int | None = None, by: str = "") -> None:
        """Remove the definition; its history stays, and the removal is part of it.

        :raises FlagNotFound: there is none; of segments, :class:`SegmentNotFound`.
        :raises FlagConflict: another revision is current; of segments, a :class:`SegmentConflict`.
        """
        ...

    async def history(self, key: str) -> Sequence[S]:
        """Every revision of the key, oldest first, removals included; empty for a key that never was."""
        ...


class FlagStore(DefinitionStore[StoredFlag], Protocol):
    """Flag definitions. One provider is asked for flags and segments alike."""


class WritableFlagStore(FlagStore, WritableDefinitionStore[Flag, StoredFlag], Protocol):
    """Flag definitions that administrators write (``Capability.WRITE``)."""


class SegmentStore(DefinitionStore[StoredSegment], Protocol):
    """Segments, which rules of flags speak of."""


class WritableSegmentStore(SegmentStore, WritableDefinitionStore[Segment, StoredSegment], Protocol):
    """Segments that administrators write (``Capability.WRITE``)."""


class ChangeStore(Protocol):
    """Changes that wait for approval or for their time, and what became of them. Beside a writable FlagStore.

    Writes join the transaction of their task, if one is open. Every method may raise :class:`DatabaseUnavailable` and,
    before opening and after closing, :class:`AdapterClosed`.
    """

    async def add(self, request: ChangeRequest) -> None:
        """Keep a new request; its id is a UUID that no other has."""
        ...

    async def get(self, request_id: str) -> ChangeRequest:
        """The request.

        :raises ChangeNotFound: there is none.
        """
        ...

    async def list(
        self, *, state: State | None = None, cursor: str | None = None, limit: int = 100
    ) -> Page[ChangeRequest]:
        """The requests in one ``state``, or all, by id, ``limit`` (1 to 1000) a page.

        :raises InvalidInput: ``cursor`` is not one that this list can have given out.
        """
        ...

    async def replace(self, request: ChangeRequest) -> None:
        """Write the next step of a request. Of concurrent steps from one version, one wins.

        :raises ChangeConflict: the version that is kept is not the one before ``request``'s; nothing was written.
        """
        ...

    async def due(self, now: datetime, *, limit: int) -> Sequence[ChangeRequest]:
        """The scheduled requests whose ``not_before`` is no later than ``now``, the longest due first."""
        ...


class ExperimentStore(Protocol):
    """Who was shown what, and who did what then. Writes join the transaction of their task, if one is open.

    Whatever is taken twice counts once, and in any order, so that it may be delivered again and late. Every method may
    raise :class:`DatabaseUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def expose(self, exposures: Sequence[Exposure]) -> None:
        """Take exposures, all or, when it raises, none: of each person to each variant the first alone is kept."""
        ...

    async def convert(self, conversions: Sequence[Conversion]) -> None:
        """Take conversions, all or, when it raises, none: of each person and metric the last alone is kept."""
        ...

    async def metrics(self, flag: str) -> Sequence[str]:
        """The metrics that anybody converted by, sorted."""
        ...

    async def tally(self, flag: str, metric: str) -> Tallies:
        """How many people were shown each variant, and how many of them converted since."""
        ...


class BucketHash(Protocol):
    """MurmurHash3, x86, 32 bits, seed 0. It is synchronous and pure: every adapter gives the same numbers."""

    def __call__(self, data: bytes, /) -> int:
        """The hash of ``data``, 0 to 2^32 - 1."""
        ...


class Patterns(Protocol):
    """Patterns that users write, searched in time that grows with the text alone, whatever the pattern."""

    def compile(self, pattern: str) -> Search:
        """Whether ``pattern`` (RE2's syntax) is found anywhere in a text. The function never raises.

        :raises InvalidFlag: it is no pattern, has more than 1,024 bytes, or would take too much memory.
        """
        ...
