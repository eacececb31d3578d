"""Invalidation by tag, whatever the number of entries: a tag has an instant, before which nothing of it is good."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf, isnan

import msgspec

from tradesense.core.cache.envelope import Unreadable
from tradesense.core.cache.models import check_key
from tradesense.core.cache.options import MAX_LIFE

EVERYTHING = "*"
"""The tag that every entry has."""
OWN = "#"
"""What no key of an entry begins with."""
PREFIX = f"{OWN}:"
"""What the keys of tags begin with in the shared store."""
TAG_LIFE = MAX_LIFE + 24 * 60 * 60
"""Seconds that the instant of a tag is kept: longer than any entry that it could be about."""
AHEAD = 24 * 60 * 60.0
"""Seconds by which a clock may be ahead of ours: what is dated later still was dated by no clock at all."""
MAX_TAGS = 10_000
"""Tags that a process remembers; others are asked for again."""


def tag_key(tag: str) -> str:
    """Where the instant of ``tag`` stands in the shared store.

    :raises InvalidCacheKey: no key can be made of it.
    """
    return check_key(PREFIX + tag)


def whole(name: str) -> str:
    """The tag that every entry of the named cache has."""
    return f"{EVERYTHING}{name}"


def seal_stamp(stamp: float) -> bytes:
    """An instant as it is stored."""
    return msgspec.msgpack.encode(stamp)


def unseal_stamp(data: bytes) -> float:
    """The instant that ``data`` holds.

    :raises Unreadable: it holds none.
    """
    try:
        stamp = msgspec.msgpack.decode(data, type=float)
    except msgspec.DecodeError as error:
        raise Unreadable(type(error).__name__) from error
    if isnan(stamp):
        raise Unreadable("not a number")
    return stamp


@dataclass(slots=True)
class _Known:
    told: float
    """The instant as it was told."""
    stamp: float
    until: float
    """When it is asked for again, on the monotonic clock."""


class Tags:
    """What this process knows of tags. ``generation`` grows whenever an entry may have lost its good standing."""

    def __init__(self, *, trust: float, wall: Callable[[], float]) -> None:
        self.generation = 0
        self.newest = 0.0
        """The latest instant of any tag; what is made from now on is made after it, whatever our clock says."""
        self._trust = trust
        self._wall = wall
        self._floor = 0.0
        """The latest instant of those tags that are no longer remembered."""
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def unknown(self, tags: Iterable[str], now: float) -> list[str]:
        """Those of ``tags`` that the shared store has to be asked for."""
        return [tag for tag in tags if (known := self._known.get(tag)) is None or known.until <= now]

    def learn(self, tag: str, stamp: float, now: float) -> None:
        """Remember that nothing of ``tag`` is good that was born at ``stamp`` or before; 0 is never.

        An instant that no clock can have shown counts as now, when it is first heard of.
        """
        known = self._known.get(tag)
        if known is None:
            known = self._known[tag] = _Known(0.0, 0.0, 0.0)
            if len(self._known) > MAX_TAGS:
                _, forgotten = self._known.popitem(last=False)
                self._floor = max(self._floor, forgotten.stamp)
                self.generation += 1
        else:
            self._known.move_to_end(tag)
        known.until = now + self._trust
        if stamp == known.told:
            return
        known.told = stamp
        wall = self._wall()
        meant = stamp if stamp <= wall + AHEAD else wall
        self.newest = max(self.newest, meant)
        if meant > known.stamp:
            known.stamp = meant
            self.generation += 1

    def outdated(self, born: float, tags: Iterable[str]) -> bool:
        """Whether an entry of that birth and those tags was invalidated, as far as this process knows.

        Of tags that it no longer remembers it knows the latest instant only: that counts for each, until the shared
        store has been asked.
        """
        known = self._known
        return any((found.stamp if (found := known.get(tag)) else self._floor) >= born for tag in tags)

    def read(self, asked: Iterable[str], found: Mapping[str, bytes], now: float) -> None:
        """Learn from the shared store's answer. An instant that cannot be read counts as now, once."""
        for tag in asked:
            data = found.get(tag_key(tag))
            try:
                self.learn(tag, 0.0 if data is None else unseal_stamp(data), now)
            except Unreadable:
                self.learn(tag, inf, now)
