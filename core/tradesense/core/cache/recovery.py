"""What could not be told to the shared store or to the other processes, kept until it can."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from tradesense.core.cache.tags import EVERYTHING, PREFIX, TAG_LIFE, seal_stamp, tag_key

COVER = tag_key(EVERYTHING)
"""The key of the instant that stands for whatever had to be given up."""


class Action(StrEnum):
    """What is to be done again."""

    SET = "set"
    DELETE = "delete"
    TELL = "tell"
    """The store has it; the other processes were not told."""


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """One change that is outstanding."""

    key: str
    action: Action
    stamp: float
    """When the change was made; one that is younger in the store wins."""
    data: bytes = b""
    keeps: float = 0.0
    """Until when it is worth writing, in seconds since 1970."""
    cleared: bool = False
    """Whether the store, which took no new value, no longer holds the one that this replaces."""

    @property
    def is_tag(self) -> bool:
        """Whether it is the instant of a tag, which must never be lost."""
        return self.key.startswith(PREFIX)


class Recovery:
    """Outstanding changes: the last one of each key.

    Where they take too many bytes, the oldest values are given up: what is left of them is that the key has to go.
    Where they are too many, the oldest are given up, and in their place everything older than they is invalidated.
    """

    def __init__(self, *, limit: int = 10_000, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._pending: OrderedDict[str, Pending] = OrderedDict()
        self._values: OrderedDict[str, int] = OrderedDict()
        """The bytes of each value, the oldest first."""
        self._bytes = 0
        self.lost = 0
        """Changes and values that had to be given up."""

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[Pending]:
        return iter(tuple(self._pending.values()))

    def get(self, key: str) -> Pending | None:
        """The outstanding change of ``key``."""
        return self._pending.get(key)

    def add(self, change: Pending) -> None:
        """Keep ``change`` in place of an earlier one of its key. A mere notice replaces nothing."""
        former = self._pending.get(change.key)
        if former is not None and (change.action is Action.TELL or change.stamp < former.stamp):
            return
        self.discard(change.key)
        self._pending[change.key] = change
        if change.action is Action.SET and not change.is_tag:
            self._values[change.key] = len(change.data)
            self._bytes += len(change.data)
        while self._bytes > self._max_bytes:
            self._give_up_a_value()
        while len(self._pending) - (COVER in self._pending) > self._limit:
            self._give_up_a_change()

    def discard(self, key: str) -> None:
        """Nothing is outstanding for ``key`` any more."""
        self._pending.pop(key, None)
        self._bytes -= self._values.pop(key, 0)

    def done(self, change: Pending) -> None:
        """``change`` was carried out; a later one of its key stays."""
        if self._pending.get(change.key) is change:
            self.discard(change.key)

    def cleared(self, change: Pending) -> None:
        """The store holds nothing any more that ``change`` would replace."""
        if self._pending.get(change.key) is change:
            self._pending[change.key] = replace(change, cleared=True)

    def _give_up_a_value(self) -> None:
        key, size = self._values.popitem(last=False)
        self._bytes -= size
        self._pending[key] = replace(self._pending[key], action=Action.DELETE, data=b"")
        self.lost += 1

    def _give_up_a_change(self) -> None:
        key = next(key for key in self._pending if key != COVER)
        oldest = self._pending[key]
        self.discard(key)
        self.lost += 1
        if oldest.action is not Action.TELL:
            self._cover(oldest.stamp)

    def _cover(self, stamp: float) -> None:
        """Let nothing be good that was made up to ``stamp``."""
        former = self._pending.get(COVER)
        if former is None or former.action is not Action.SET or former.stamp < stamp:
            self._pending[COVER] = Pending(
                key=COVER, action=Action.SET, stamp=stamp, data=seal_stamp(stamp), keeps=stamp + TAG_LIFE
            )
