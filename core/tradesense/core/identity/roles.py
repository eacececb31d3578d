"""Roles: those that come with the platform, those that are defined, and who may give them to whom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from tradesense.core.ambient import Clock
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import Conflict, InvalidInput, PermissionDenied, RoleNotFound
from tradesense.core.identity.models import ADMIN, USER, Principal, StoredRole, User
from tradesense.core.identity.permissions import parse
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.identity.rules import Decision, Role, Rules

REFRESH_SECONDS = 0.45
"""How old what a process knows of roles may be; a change by another process holds within a second (SECURITY R15)."""
COMPILED = 1024
"""Combinations of roles that are kept compiled."""
MOST_ROLES = 50
MOST_DEFINED = 1000
MOST_PATTERNS = 200
MOST_TEXT = 500

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")

BUILT_IN: Mapping[str, Role] = {
    ADMIN: Role(name=ADMIN, allow=("*:*",), description="May do everything."),
    USER: Role(name=USER, allow=("identity:self", "flags:evaluate"), description="What every account may do."),
}
"""Roles that nobody can change, so that nobody can lock everyone out."""

_BUILT_IN: Mapping[str, StoredRole] = {
    name: StoredRole(role=role, revision=0, updated_at=datetime(1970, 1, 1, tzinfo=UTC))
    for name, role in BUILT_IN.items()
}


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


class Roles:
    """The roles of one deployment: those that come with the platform, and those that it has defined."""

    def __init__(self, *, store: IdentityStore, trail: AuditTrail, clock: Clock, joined: bool) -> None:
        self._store = store
        self._trail = trail
        self._clock = clock
        self._joined = joined
        self._read = float("-inf")
        self._known: Mapping[str, StoredRole] = _BUILT_IN
        self._compiled: dict[tuple[str, ...], Rules] = {}

    async def rules(self, names: tuple[str, ...]) -> tuple[Rules, float]:
        """What the roles of these names permit together, and at which monotonic instant that was true."""
        if self._clock.monotonic() - self._read >= REFRESH_SECONDS:
            await self.known()
        rules = self._compiled.get(names)
        if rules is None:
            rules = Rules(closure(names, {name: stored.role for name, stored in self._known.items()}))
            if len(self._compiled) < COMPILED:
                self._compiled[names] = rules
        return rules, self._read

    async def known(self) -> Mapping[str, StoredRole]:
        """Every role by its name, read now."""
        moment = self._clock.monotonic()
        stored = {one.role.name: one for one in await self._store.roles.all()}
        known = {**stored, **_BUILT_IN}
        if known != self._known:
            self._known, self._compiled = known, {}
        self._read = max(self._read, moment)
        return known

    async def get(self, name: str) -> StoredRole:
        """The role of this name.

        :raises RoleNotFound: there is none.
        """
        try:
            return (await self.known())[name]
        except KeyError as error:
            raise RoleNotFound(f"there is no role {name[:80]!r}") from error

    async def check(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names, each once.

        :raises InvalidInput: there is none, or one that no role has.
        """
        known = await self.known()
        mend = f"use one of {', '.join(sorted(known)[:20])}"
        if not names:
            raise InvalidInput("an account has at least one role", mend=mend)
        if len(names) > MOST_ROLES:
            raise InvalidInput(f"an account has at most {MOST_ROLES} roles")
        for name in names:
            if name not in known:
                raise InvalidInput(f"there is no role {name[:80]!r}", mend=mend)
        return tuple(dict.fromkeys(names))

    async def check_grant(self, names: Sequence[str], by: Principal) -> None:
        """Go on only if ``by`` may give an account these roles.

        :raises PermissionDenied: they permit more than ``by`` may.
        """
        known = {name: stored.role for name, stored in (await self.known()).items()}
        check_grant(names, known, before=(), by=by, now=self._clock.now())

    async def explain(self, user_id: str, permission: str) -> Decision:
        """Whether an account's roles permit something on a login that is not fresh and has one factor, and why.

        :raises UserNotFound: there is no such account.
        :raises InvalidInput: that is not a permission.
        """
        user = await self._store.users.get(user_id)
        rules, _ = await self.rules(user.roles)
        return rules.explain(permission)

    async def put(
        self, role: Role, *, by: Principal | None, expected: int | None = None, actor: Actor, correlation_id: str = ""
    ) -> StoredRole:
        """Define a role, or define it anew.

        :param by: who must hold what the role permits, and what it no longer refuses; ``None`` for the operator.
        :param expected: the revision that must be current, 0 for none; any when ``None``.
        :raises InvalidInput: a name, a permission or a parent is not valid, or it comes with the platform.
        :raises PermissionDenied: the role would permit more than ``by`` may.
        :raises Conflict: it has another revision.
        """
        event = Event("identity.role", role.name, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            known = {name: stored.role for name, stored in (await self.known()).items()}
            _check(role, known)
            if by is not None:
                after = {**known, role.name: role}
                check_grant([role.name], after, before=closure([role.name], known), by=by, now=self._clock.now())
            stored = await self._store.roles.put(role, self._clock.now(), expected=expected)
            event.detail["revision"] = str(stored.revision)
        self._read = float("-inf")
        return stored

    async def assign(
        self,
        user_id: str,
        names: Sequence[str],
        *,
        by: Principal | None,
        actor: Actor,
        correlation_id: str = "",
    ) -> User:
        """Give an account these roles in place of its own, and end its sessions (ASVS 7.2.4, 8.3.2).

        :param by: who must hold what these roles permit, and what those before no longer refuse; ``None`` for the
            operator.
        :raises InvalidInput: a role is not known, or there is none.
        :raises UserNotFound: there is no such account.
        :raises PermissionDenied: the roles would permit more than ``by`` may, or those before did.
        :raises Conflict: the account changed meanwhile, or is the last administrator's.
        """
        event = Event("identity.roles", user_id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            wanted = await self.check(names)
            user = await self._store.users.get(user_id)
            known = {name: stored.role for name, stored in self._known.items()}
            if by is not None:
                before = closure(user.roles, known)
                check_grant(user.roles, known, before=(), by=by, now=self._clock.now())
                check_grant(wanted, known, before=before, by=by, now=self._clock.now())
            if ADMIN in user.roles and ADMIN not in wanted:
                await self._check_others(user)
            event.detail |= {"before": ",".join(user.roles), "roles": ",".join(wanted)}
            changed = await self._store.users.update(replace(user, roles=wanted, epoch=user.epoch + 1))
            await self._store.user_sessions.end(user_id)
        return changed

    async def _check_others(self, user: User) -> None:
        """:raises Conflict: no other administrator could undo what is about to be done."""
        administrators = (await self._store.users.list(role=ADMIN, limit=100)).items
        if all(one.id == user.id or one.disabled for one in administrators):
            raise Conflict("this is the last administrator", mend="give another account the role first")


def check_grant(
    names: Iterable[str], known: Mapping[str, Role], *, before: Iterable[Role], by: Principal, now: datetime
) -> None:
    """Go on only if ``by`` may hand out all that these roles permit (SECURITY R49).

    What the roles ``before`` refused, or made conditions for, and these do not, is handed out as well.

    :raises PermissionDenied: they may not.
    """
    roles = closure(names, known)
    granted = Rules(roles)
    more = granted.beyond(by.rules, by.proof(now))
    for role in before if more is None else ():
        lifted = [
            text
            for held, kept in ((role.deny, granted.deny), (role.step_up, granted.step_up), (role.mfa, granted.mfa))
            for text in held
            if not kept.cover(parse(text))
        ]
        refused = tuple(text for one in roles for text in one.deny)
        more = more or Rules([Role(name=role.name, allow=tuple(lifted), deny=refused)]).beyond(by.rules, by.proof(now))
    if more is not None:
        raise PermissionDenied(f"this would permit {more}, and you may not", mend="ask an administrator")


def _check(role: Role, known: Mapping[str, Role]) -> None:
    """:raises InvalidInput: the role cannot be kept."""
    if not _NAME.fullmatch(role.name):
        raise InvalidInput(f"{role.name[:80]!r} is no name for a role", mend="use a-z, 0-9 and -, 40 at most")
    if role.name in BUILT_IN:
        raise InvalidInput(f"the role {role.name!r} comes with the platform", mend="define another that inherits it")
    if role.name not in known and len(known) >= MOST_DEFINED:
        raise InvalidInput(f"there are {MOST_DEFINED} roles already")
    patterns = (*role.allow, *role.deny, *role.step_up, *role.mfa)
    if len(patterns) > MOST_PATTERNS or len(role.description) > MOST_TEXT:
        raise InvalidInput(f"a role has at most {MOST_PATTERNS} permissions and {MOST_TEXT} characters of description")
    for text in patterns:
        parse(text)
    for parent in role.inherits:
        if parent not in known:
            raise InvalidInput(f"there is no role {parent[:80]!r} to inherit")
        if parent == role.name or role in closure([parent], {**known, role.name: role}):
            raise InvalidInput(f"{role.name!r} and {parent!r} would inherit each other")
