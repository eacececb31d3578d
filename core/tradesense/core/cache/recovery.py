"""What could not be told to the shared store or to the other processes, kept until it can."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from enum import StrEnum

import msgspec


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


class Recovery:
    """Outstanding changes: the last one of each key, the oldest ones going first when there are too many."""

    def __init__(self, *, limit: int = 10_000, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._pending: OrderedDict[str, Pending] = OrderedDict()
        self._bytes = 0
        self.lost = 0
        """Changes that had to be given up."""

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
        self._bytes += len(change.data)
        while len(self._pending) > self._limit or self._bytes > self._max_bytes:
            _, oldest = self._pending.popitem(last=False)
            self._bytes -= len(oldest.data)
            self.lost += 1

    def discard(self, key: str) -> None:
        """Nothing is outstanding for ``key`` any more."""
        former = self._pending.pop(key, None)
        if former is not None:
            self._bytes -= len(former.data)

    def done(self, change: Pending) -> None:
        """``change`` was carried out; a later one of its key stays."""
        if self._pending.get(change.key) is change:
            self.discard(change.key)
