"""Roles: those that come with the platform, and what a user of several of them may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from tradesense.core.identity.models import ADMIN, USER
from tradesense.core.identity.rules import Role, Rules

BUILT_IN: Mapping[str, Role] = {
    ADMIN: Role(name=ADMIN, allow=("*:*",), description="May do everything."),
    USER: Role(name=USER, allow=("identity:self", "flags:evaluate"), description="What every account may do."),
}
"""Roles that nobody can change, so that nobody can lock everyone out."""


def closure(names: Iterable[str], known: Mapping[str, Role]) -> list[Role]:
    """The roles of these names with all that they inherit from, each once; names that are not known are passed over."""
    found: dict[str, Role] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        role = known.get(name)
        if role is not None and name not in found:
            found[name] = role
            waiting += role.inherits
    return list(found.values())


@lru_cache(maxsize=1024)
def built_in(names: tuple[str, ...]) -> Rules:
    """What the built-in roles of these names permit together."""
    return Rules(closure(names, BUILT_IN))
