"""The two kinds of definitions, flags and segments, for those who keep both in the same manner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from tradesense.core.errors import Conflict, FlagConflict, FlagNotFound, NotFound, SegmentConflict, SegmentNotFound
from tradesense.core.flags.models import Flag, Segment, Stored, StoredFlag, StoredSegment

D = TypeVar("D", bound=Flag | Segment)
S = TypeVar("S", bound=Stored)
S_co = TypeVar("S_co", bound=Stored, covariant=True)
D_contra = TypeVar("D_contra", bound=Flag | Segment, contravariant=True)


class Make(Protocol[D_contra, S_co]):
    """Makes a revision of a definition."""

    def __call__(
        self,
        definition: D_contra,
        /,
        *,
        revision: int,
        updated_at: datetime,
        updated_by: str,
        deleted: bool,
        digest: str,
    ) -> S_co:
        """The revision."""
        ...


@dataclass(frozen=True, slots=True)
class Kind(Generic[D, S]):
    """What is true of one kind."""

    name: Literal["flag", "segment"]
    definition: type[D]
    stored: type[S]
    of: Callable[[S], D]
    """The definition that a revision holds."""
    make: Make[D, S]
    absent: type[NotFound]
    conflict: type[Conflict]

    def revision(
        self, definition: D, *, revision: int, at: datetime, by: str, deleted: bool = False, digest: str = ""
    ) -> S:
        """A revision of ``definition``.

        :param digest: as it is known; else it is computed.
        """
        return self.make(
            definition,
            revision=revision,
            updated_at=at,
            updated_by=by,
            deleted=deleted,
            digest=digest or digest_of(definition),
        )

    def missing(self, key: str) -> NotFound:
        """The error for a key that is not there."""
        return self.absent(f"there is no {self.name} {key!r}")

    def expect(self, key: str, current: int, expected: int | None) -> None:
        """Go on only where ``expected``, if any, is the ``current`` revision.

        :raises Conflict: it is not.
        """
        if expected is not None and expected != current:
            raise self.conflict(f"{self.name} {key!r} has revision {current}, not {expected}", mend="read it again")


def digest_of(definition: Flag | Segment) -> str:
    """SHA-256, in hexadecimal digits, of the definition as JSON with sorted keys, without what is as by default."""
    return sha256(msgspec.json.encode(definition, order="sorted")).hexdigest()


def _flag(
    definition: Flag, /, *, revision: int, updated_at: datetime, updated_by: str, deleted: bool, digest: str
) -> StoredFlag:
    return StoredFlag(
        flag=definition,
        revision=revision,
        updated_at=updated_at,
        updated_by=updated_by,
        deleted=deleted,
        digest=digest,
    )


def _segment(
    definition: Segment, /, *, revision: int, updated_at: datetime, updated_by: str, deleted: bool, digest: str
) -> StoredSegment:
    return StoredSegment(
        segment=definition,
        revision=revision,
        updated_at=updated_at,
        updated_by=updated_by,
        deleted=deleted,
        digest=digest,
    )


FLAG: Kind[Flag, StoredFlag] = Kind(
    name="flag",
    definition=Flag,
    stored=StoredFlag,
    of=lambda stored: stored.flag,
    make=_flag,
    absent=FlagNotFound,
    conflict=FlagConflict,
)
SEGMENT: Kind[Segment, StoredSegment] = Kind(
    name="segment",
    definition=Segment,
    stored=StoredSegment,
    of=lambda stored: stored.segment,
    make=_segment,
    absent=SegmentNotFound,
    conflict=SegmentConflict,
)
