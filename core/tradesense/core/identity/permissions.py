"""Roles and what they permit. A permission is ``room:verb``; ``*`` stands for any room, or for any verb."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.core.identity.models import ADMIN, USER

ROLES: dict[str, frozenset[str]] = {
    ADMIN: frozenset({"*:*"}),
    USER: frozenset({"identity:self", "flags:evaluate"}),
}


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """What the roles permit together; a role that is not known permits nothing."""
    return frozenset(permission for role in roles for permission in ROLES.get(role, ()))


def permits(held: frozenset[str], needed: str) -> bool:
    """Whether one of the ``held`` permissions covers ``needed``."""
    room, _, verb = needed.partition(":")
    return not held.isdisjoint({needed, f"{room}:*", f"*:{verb}", "*:*"})
