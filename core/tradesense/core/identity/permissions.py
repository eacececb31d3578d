"""Permissions as text, and which of them covers which. Pure, so that every decision can be tried on paper.

A permission is ``room:verb`` or ``room:verb:scope``, as in ``secrets:read:team-a/*``. ``*`` stands for any room or any
verb; a scope that ends with ``*`` is everything that begins so, and no scope is everything. Two permissions are either
one inside the other in each of the three parts or have nothing in common, so what they share is exact.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from tradesense.core.errors import InvalidInput

ANY = "*"
MAX_SCOPE = 512
"""Characters."""

_WORD = r"(?:\*|[a-z][a-z0-9-]{0,39})"
_FORM = re.compile(rf"({_WORD}):({_WORD})(?::([!-)+-~]{{0,{MAX_SCOPE}}})(\*?))?")


class Permission(NamedTuple):
    """Something that may be done, or that somebody wants to do."""

    room: str
    verb: str
    scope: str = ""
    below: bool = True
    """Whether it is everything that begins with ``scope``, and not the one thing of that name."""

    def __str__(self) -> str:
        """As it is written in a role."""
        if self.below and not self.scope:
            return f"{self.room}:{self.verb}"
        return f"{self.room}:{self.verb}:{self.scope}{ANY if self.below else ''}"

    def at(self, scope: str, *, below: bool = False) -> Permission:
        """The same on one thing, or on all that begins with ``scope``; whatever ``scope`` holds is taken as it is."""
        return Permission(self.room, self.verb, scope, below)


@lru_cache(maxsize=4096)
def parse(text: str) -> Permission:
    """The permission that ``text`` writes.

    :raises InvalidInput: it writes none.
    """
    found = _FORM.fullmatch(text)
    if found is None or found[3] == found[4] == "":
        raise InvalidInput(
            f"{text[:80]!r} is not a permission", mend="write room:verb or room:verb:scope, as in secrets:read:team-a/*"
        )
    room, verb, scope, star = found.groups()
    return Permission(room, verb, scope or "", scope is None or bool(star))


def covers(held: Permission, wanted: Permission) -> bool:
    """Whether all of ``wanted`` lies in ``held``."""
    return held.room in {ANY, wanted.room} and held.verb in {ANY, wanted.verb} and _within(wanted, held)


def shared(one: Permission, other: Permission) -> Permission | None:
    """What lies in both; ``None`` when nothing does."""
    room = _narrower(one.room, other.room)
    verb = _narrower(one.verb, other.verb)
    if not room or not verb:
        return None
    if _within(one, other):
        return Permission(room, verb, one.scope, one.below)
    return Permission(room, verb, other.scope, other.below) if _within(other, one) else None


def _narrower(one: str, other: str) -> str:
    """The narrower of two words; empty when they have nothing in common."""
    if other in {one, ANY}:
        return one
    return other if one == ANY else ""


def _within(inner: Permission, outer: Permission) -> bool:
    """Whether the scope of the one lies in that of the other."""
    return inner.scope.startswith(outer.scope) if outer.below else not inner.below and inner.scope == outer.scope
