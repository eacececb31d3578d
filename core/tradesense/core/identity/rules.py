"""What a set of roles permits: compiled once, asked on every request, and able to say why.

Denials go before grants, whichever role they stand in. A demand lets what is granted pass only on a fresh login, or on
one with a second factor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from tradesense.core.identity.permissions import ANY, Permission, covers, parse, shared

MEMORY = 1024
"""Decisions that one set of rules keeps, so that routes are decided once."""


class Role(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name for what may be done. All that a role says holds for every role that inherits it."""

    name: str
    allow: tuple[str, ...] = ()
    """Permissions, as in ``secrets:read:team-a/*``."""
    deny: tuple[str, ...] = ()
    """What is refused whatever any role allows."""
    step_up: tuple[str, ...] = ()
    """What needs a login of the last minutes."""
    mfa: tuple[str, ...] = ()
    """What needs a login with a second factor."""
    inherits: tuple[str, ...] = ()
    """Other roles."""
    description: str = ""


class Why(StrEnum):
    """How a question was decided."""

    GRANTED = "granted"
    NOT_GRANTED = "not-granted"
    DENIED = "denied"
    STEP_UP = "step-up-required"
    MFA = "mfa-required"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question, and what it follows from."""

    permission: str
    why: Why
    role: str = ""
    """The role that decides; none where nothing grants the permission."""
    rule: str = ""
    """What of that role decides."""

    @property
    def granted(self) -> bool:
        """Whether it may be done."""
        return self.why is Why.GRANTED


class Proof(NamedTuple):
    """What the caller's login can satisfy."""

    fresh: bool = False
    """It happened within the last minutes."""
    strong: bool = False
    """It had a second factor."""


class _Rule(NamedTuple):
    permission: Permission
    role: str


class _Scopes(NamedTuple):
    """The scopes of one room and verb: what they begin with, and single ones."""

    prefixes: tuple[str, ...]
    single: frozenset[str]

    def cover(self, wanted: Permission) -> bool:
        return wanted.scope.startswith(self.prefixes) or (not wanted.below and wanted.scope in self.single)

    def touch(self, wanted: Permission) -> bool:
        return self.cover(wanted) or (
            wanted.below and any(scope.startswith(wanted.scope) for scope in (*self.prefixes, *self.single))
        )


class Patterns:
    """Permissions in one place, indexed by room and verb."""

    def __init__(self, rules: Iterable[tuple[str, str]]) -> None:
        """Compile pairs of a permission and the role that it stands in.

        :raises InvalidInput: one is not a permission.
        """
        self.rules = tuple(_Rule(parse(text), role) for text, role in rules)
        found: dict[tuple[str, str], list[Permission]] = {}
        for rule in self.rules:
            found.setdefault(rule.permission[:2], []).append(rule.permission)
        self._scopes = {
            key: _Scopes(
                tuple(one.scope for one in each if one.below), frozenset(one.scope for one in each if not one.below)
            )
            for key, each in found.items()
        }

    def cover(self, wanted: Permission) -> bool:
        """Whether all of ``wanted`` lies in one of them."""
        return any(scopes.cover(wanted) for scopes in self._of(wanted))

    def touch(self, wanted: Permission) -> bool:
        """Whether any part of ``wanted`` lies in one of them."""
        if ANY in wanted[:2]:
            return any(shared(rule.permission, wanted) is not None for rule in self.rules)
        return any(scopes.touch(wanted) for scopes in self._of(wanted))

    def covering(self, wanted: Permission) -> _Rule | None:
        """The first that covers ``wanted``."""
        return next((rule for rule in self.rules if covers(rule.permission, wanted)), None)

    def touching(self, wanted: Permission) -> _Rule | None:
        """The first that has anything in common with ``wanted``."""
        return next((rule for rule in self.rules if shared(rule.permission, wanted) is not None), None)

    def _of(self, wanted: Permission) -> list[_Scopes]:
        room, verb = wanted[:2]
        known = self._scopes
        return [known[key] for key in ((room, verb), (room, ANY), (ANY, verb), (ANY, ANY)) if key in known]


class Rules:
    """What some roles permit together. It never changes."""

    def __init__(self, roles: Sequence[Role], *, bounds: Patterns | None = None) -> None:
        """Compile ``roles``, which hold all that they inherit from.

        :param bounds: outside of which nothing is permitted.

        :raises InvalidInput: one of them holds what is not a permission.
        """
        self.roles = tuple(roles)
        self.allow = Patterns((text, role.name) for role in roles for text in role.allow)
        self.deny = Patterns((text, role.name) for role in roles for text in role.deny)
        self.step_up = Patterns((text, role.name) for role in roles for text in role.step_up)
        self.mfa = Patterns((text, role.name) for role in roles for text in role.mfa)
        self.bounds = bounds
        self._decided: dict[tuple[Permission, Proof], bool] = {}

    def bounded(self, scopes: Iterable[str]) -> Rules:
        """The same rules for what lies in ``scopes``, and nothing beyond."""
        return Rules(self.roles, bounds=Patterns((scope, "") for scope in scopes))

    def permits(self, wanted: Permission | str, proof: Proof = Proof()) -> bool:  # noqa: B008  # a tuple cannot change
        """Whether all of ``wanted`` may be done by a caller with ``proof``."""
        asked = parse(wanted) if isinstance(wanted, str) else wanted
        known = self._decided.get((asked, proof))
        if known is None:
            known = self._why(asked, proof) is Why.GRANTED
            if len(self._decided) < MEMORY:
                self._decided[asked, proof] = known
        return known

    def explain(self, wanted: Permission | str, proof: Proof = Proof()) -> Decision:  # noqa: B008  # the same
        """Why ``wanted`` may be done by a caller with ``proof``, or why not."""
        asked = parse(wanted) if isinstance(wanted, str) else wanted
        why = self._why(asked, proof)
        rule = self._deciding(asked, why)
        if rule is None:
            return Decision(permission=str(asked), why=why)
        return Decision(permission=str(asked), why=why, role=rule.role, rule=str(rule.permission))

    def _deciding(self, wanted: Permission, why: Why) -> _Rule | None:
        match why:
            case Why.GRANTED:
                return self.allow.covering(wanted)
            case Why.DENIED:
                return self.deny.touching(wanted)
            case Why.STEP_UP:
                return self.step_up.touching(wanted)
            case Why.MFA:
                return self.mfa.touching(wanted)
            case _:
                return None

    def _why(self, wanted: Permission, proof: Proof) -> Why:
        if self.deny.touch(wanted):
            return Why.DENIED
        if not self.allow.cover(wanted) or (self.bounds is not None and not self.bounds.cover(wanted)):
            return Why.NOT_GRANTED
        if not proof.strong and self.mfa.touch(wanted):
            return Why.MFA
        if not proof.fresh and self.step_up.touch(wanted):
            return Why.STEP_UP
        return Why.GRANTED

    def beyond(self, held: Rules, proof: Proof = Proof()) -> Permission | None:  # noqa: B008  # the same
        """Something that these permit and ``held`` does not, or not on the same conditions; ``None`` for nothing.

        Who may grant is asked this (SECURITY R49), so where in doubt there is something.
        """
        for permission, _ in self.allow.rules:
            if self.deny.cover(permission):
                continue
            if not held.allow.cover(permission) or (held.bounds is not None and not held.bounds.cover(permission)):
                return permission
            if (more := self._less_bound(permission, held, proof)) is not None:
                return more
        return None

    def _less_bound(self, permission: Permission, held: Rules, proof: Proof) -> Permission | None:
        """A part of ``permission`` that ``held`` denies, or binds to a proof that is not given, and these do not."""
        for bound, ours in (
            (held.deny, [self.deny]),
            (held.step_up if not proof.fresh else _NONE, [self.deny, self.step_up]),
            (held.mfa if not proof.strong else _NONE, [self.deny, self.mfa]),
        ):
            for rule in bound.rules:
                part = shared(rule.permission, permission)
                if part is not None and not any(patterns.cover(part) for patterns in ours):
                    return part
        return None


_NONE = Patterns(())
NOBODY = Rules(())
"""Permits nothing."""
