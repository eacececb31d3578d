"""Where flag definitions are kept, where exposures go, and what the engine is lent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tradesense.core.flags.models import Exposure, Flag, StoredFlag
from tradesense.core.paging import Page

Search = Callable[[str], bool]
"""Whether a pattern is found in a text."""


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
