"""The chosen provider of definitions: its flags, its segments, and whether they can be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from tradesense.core.errors import InvalidInput
from tradesense.core.flags.ports import FlagStore, SegmentStore, WritableFlagStore, WritableSegmentStore


@dataclass(frozen=True, slots=True)
class Stores:
    """Flags and segments of one provider, which have one generation."""

    flags: FlagStore
    segments: SegmentStore
    name: str = "memory"
    """As ``flags.provider`` names it."""
    writable: bool = True
    """Whether the adapters declare ``Capability.WRITE``."""

    def for_flags(self) -> WritableFlagStore:
        """The flags, to be written.

        :raises InvalidInput: the provider is read-only.
        """
        self._need()
        return cast("WritableFlagStore", self.flags)

    def for_segments(self) -> WritableSegmentStore:
        """The segments, to be written.

        :raises InvalidInput: the provider is read-only.
        """
        self._need()
        return cast("WritableSegmentStore", self.segments)

    def _need(self) -> None:
        if not self.writable:
            raise InvalidInput(
                f"the provider of flags, {self.name}, cannot be written and keeps no history",
                origin="flags.provider",
                mend="change the definitions where they come from",
            )
