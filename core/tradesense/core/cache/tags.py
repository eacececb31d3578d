"""Invalidation by tag, whatever the number of entries: a tag has an instant, before which nothing of it is good."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from tradesense.core.cache.envelope import Unreadable
from tradesense.core.cache.models import check_key
from tradesense.core.cache.options import MAX_LIFE

EVERYTHING = "*"
"""The tag that every entry has."""
PREFIX = "#:"
"""What the keys of tags begin with in the shared store."""
TAG_LIFE = MAX_LIFE + 24 * 60 * 60
"""Seconds that the instant of a tag is kept: longer than any entry that it could be about."""
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
        return msgspec.msgpack.decode(data, type=float)
    except msgspec.DecodeError as error:
        raise Unreadable(type(error).__name__) from error


@dataclass(slots=True)
class _Known:
    stamp: float
    until: float
    """When it is asked for again, on the monotonic clock."""


class Tags:
    """What this process knows of tags. ``generation`` grows whenever an entry may have lost its good standing."""

    def __init__(self, *, trust: float) -> None:
        self.generation = 0
        self._trust = trust
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def unknown(self, tags: Iterable[str], now: float) -> list[str]:
        """Those of ``tags`` that the shared store has to be asked for."""
        return [tag for tag in tags if (known := self._known.get(tag)) is None or known.until <= now]

    def learn(self, tag: str, stamp: float, now: float) -> None:
        """Remember that nothing of ``tag`` is good that was created at ``stamp`` or before; 0 is never."""
        known = self._known.get(tag)
        if known is None:
            known = self._known[tag] = _Known(0.0, 0.0)
            if len(self._known) > MAX_TAGS:
                self._known.popitem(last=False)
                self.generation += 1
        else:
            self._known.move_to_end(tag)
        known.until = now + self._trust
        if stamp > known.stamp:
            known.stamp = stamp
            self.generation += 1

    def outdated(self, created: float, tags: Iterable[str]) -> bool:
        """Whether an entry of that birth and those tags was invalidated, as far as this process knows."""
        known = self._known
        return any((found := known.get(tag)) is not None and found.stamp >= created for tag in tags)

    def read(self, asked: Iterable[str], found: Mapping[str, bytes], now: float) -> None:
        """Learn from the shared store's answer. An instant that cannot be read counts as none."""
        for tag in asked:
            data = found.get(tag_key(tag))
            try:
                self.learn(tag, 0.0 if data is None else unseal_stamp(data), now)
            except Unreadable:
                self.learn(tag, 0.0, now)
