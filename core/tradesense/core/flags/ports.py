"""Where flag definitions are kept, and where exposures go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tradesense.core.flags.models import Exposure, Flag, StoredFlag
from tradesense.core.paging import Page


class FlagStore(Protocol):
    """Flag definitions by key with revisions. Writes join the transaction of their task, if one is open.

    Every method may raise :class:`DatabaseUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def get(self, key: str) -> StoredFlag:
        """The flag.

        :raises FlagNotFound: there is none.
        """
        ...

    async def put(self, flag: Flag, *, expected: int | None = None) -> StoredFlag:
        """Write a new revision and return it. Of concurrent writes with one ``expected``, one wins.

        :param expected: the revision that must be current, 0 for none; any when left out.
        :raises FlagConflict: another revision is current; nothing was written.
        """
        ...

    async def delete(self, key: str, *, expected: int | None = None) -> None:
        """Remove the flag.

        :raises FlagNotFound: there is none.
        :raises FlagConflict: another revision is current.
        """
        ...

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[StoredFlag]:
        """The flags by key, ``limit`` (1 to 1000) a page.

        :raises InvalidInput: ``cursor`` is not one that this list can have given out.
        """
        ...

    async def generation(self) -> int:
        """A number that grows with every change of any flag, cheap to ask for."""
        ...


class ExposureSink(Protocol):
    """Takes note of who was shown what, for experiments."""

    async def record(self, exposures: Sequence[Exposure]) -> None:
        """Take the exposures; all or, when it raises, none.

        :raises DatabaseUnavailable: they were not taken.
        :raises AdapterClosed: before opening and after closing.
        """
        ...
