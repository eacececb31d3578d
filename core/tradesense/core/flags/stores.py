"""The chosen provider of definitions: its flags, its segments, and whether they can be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, cast

from tradesense.core.errors import InvalidInput
from tradesense.core.flags.kinds import Kind
from tradesense.core.flags.models import Flag, Segment, Stored
from tradesense.core.flags.ports import ChangeStore, DefinitionStore, FlagStore, SegmentStore, WritableDefinitionStore

D = TypeVar("D", bound=Flag | Segment)
S = TypeVar("S", bound=Stored)


@dataclass(frozen=True, slots=True)
class Stores:
    """Flags and segments of one provider, which have one generation."""

    flags: FlagStore
    segments: SegmentStore
    name: str = "memory"
    """As ``flags.provider`` names it."""
    writable: bool = True
    """Whether the adapters declare ``Capability.WRITE``."""

    requests: ChangeStore | None = None
    """Changes that wait, where the provider keeps them in the transactions of the audit trail."""

    def read(self, kind: Kind[D, S]) -> DefinitionStore[S]:
        """The definitions of a kind."""
        return cast("DefinitionStore[S]", self.flags if kind.name == "flag" else self.segments)

    def written(self, kind: Kind[D, S]) -> WritableDefinitionStore[D, S]:
        """The definitions of a kind, to be written.

        :raises InvalidInput: the provider is read-only.
        """
        self._need()
        return cast("WritableDefinitionStore[D, S]", self.read(kind))

    def _need(self) -> None:
        if not self.writable:
            raise InvalidInput(
                f"the provider of flags, {self.name}, cannot be written and keeps no history",
                origin="flags.provider",
                mend="change the definitions where they come from",
            )
