"""Identity: roles, who has them, and why something is allowed or not."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from litestar import Response, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from tradesense.core.identity.models import StoredRole
from tradesense.core.identity.permissions import MAX_SCOPE
from tradesense.core.identity.roles import MOST_PATTERNS, MOST_ROLES, MOST_TEXT
from tradesense.core.identity.rules import Decision, Role
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.conditional import expected, precondition, tag
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import authenticated, guard
from tradesense.entrypoints.http.users import Account, account

Text = Annotated[str, Meta(max_length=MAX_SCOPE + 100)]
Permissions = Annotated[tuple[Text, ...], Meta(max_length=MOST_PATTERNS)]
Names = Annotated[tuple[Annotated[str, Meta(max_length=40)], ...], Meta(max_length=MOST_ROLES)]


class Definition(Body, frozen=True, kw_only=True):
    """What a role says."""

    allow: Permissions = ()
    deny: Permissions = ()
    step_up: Permissions = ()
    mfa: Permissions = ()
    inherits: Names = ()
    description: Annotated[str, Meta(max_length=MOST_TEXT)] = ""


class RoleView(Struct, frozen=True, kw_only=True):
    """A role."""

    name: str
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    step_up: tuple[str, ...]
    mfa: tuple[str, ...]
    inherits: tuple[str, ...]
    description: str
    revision: int
    """0 for a role that comes with the platform."""
    updated_at: datetime


class RoleViews(Struct, frozen=True, kw_only=True):
    """All roles, by name."""

    items: tuple[RoleView, ...]


class RolesBody(Body, frozen=True, kw_only=True):
    """The roles that an account is to have."""

    roles: Names


class Question(Body, frozen=True, kw_only=True):
    """What somebody wants to do."""

    permission: Text


class Explained(Struct, frozen=True, kw_only=True):
    """Whether it may be done, and what that follows from."""

    allowed: bool
    why: str
    """``granted``, ``not-granted``, ``denied``, ``step-up-required`` or ``mfa-required``."""
    permission: str
    role: str
    rule: str


@get("/api/v1/roles", opt=guard("roles:read"), tags=["users"])
async def list_roles() -> RoleViews:
    """Every role."""
    known = await current().services.roles.known()
    return RoleViews(items=tuple(_view(known[name]) for name in sorted(known)))


@get("/api/v1/roles/{name:str}", opt=guard("roles:read"), tags=["users"])
async def read_role(name: FromPath[str]) -> Response[RoleView]:
    """One role."""
    return _tagged(await current().services.roles.get(name))


@put("/api/v1/roles/{name:str}", opt=guard("roles:write"), tags=["users"])
async def write_role(name: FromPath[str], data: JSONBody[Definition]) -> Response[RoleView]:
    """Define a role. Nobody can let one permit more than they may themselves."""
    here = current()
    revision = expected(here)
    role = Role(
        name=name,
        allow=data.allow,
        deny=data.deny,
        step_up=data.step_up,
        mfa=data.mfa,
        inherits=data.inherits,
        description=data.description,
    )
    with precondition(revision):
        stored = await here.services.roles.put(
            role, by=here.caller(), expected=revision, actor=here.actor, correlation_id=here.correlation_id
        )
    here.services.recognition.forget()
    return _tagged(stored)


@put("/api/v1/users/{user_id:str}/roles", opt=guard("users:write"), tags=["users"])
async def assign_roles(user_id: FromPath[str], data: JSONBody[RolesBody]) -> Account:
    """Give an account these roles in place of its own, and end its sessions."""
    here = current()
    user = await here.services.roles.assign(
        user_id, data.roles, by=here.caller(), actor=here.actor, correlation_id=here.correlation_id
    )
    here.services.recognition.forget(lambda known: known.user_id == user_id)
    return account(user)


@post("/api/v1/auth/explain", opt=authenticated(), status_code=200, tags=["auth"])
async def explain(data: JSONBody[Question]) -> Explained:
    """Whether the caller may do something now, and why."""
    here = current()
    caller = here.caller()
    return _explained(caller.rules.explain(data.permission, caller.proof(here.services.clock.now())))


@post("/api/v1/users/{user_id:str}/explain", opt=guard("users:read"), status_code=200, tags=["users"])
async def explain_for(user_id: FromPath[str], data: JSONBody[Question]) -> Explained:
    """Whether an account's roles permit something on a login that is not fresh and has one factor, and why."""
    here = current()
    return _explained(await here.services.roles.explain(user_id, data.permission))


def _explained(decision: Decision) -> Explained:
    return Explained(
        allowed=decision.granted,
        why=decision.why,
        permission=decision.permission,
        role=decision.role,
        rule=decision.rule,
    )


def _tagged(stored: StoredRole) -> Response[RoleView]:
    return Response(_view(stored), headers={"ETag": tag(stored.revision)})


def _view(stored: StoredRole) -> RoleView:
    role = stored.role
    return RoleView(
        name=role.name,
        allow=role.allow,
        deny=role.deny,
        step_up=role.step_up,
        mfa=role.mfa,
        inherits=role.inherits,
        description=role.description,
        revision=stored.revision,
        updated_at=stored.updated_at,
    )


ROUTES: tuple[HTTPRouteHandler, ...] = (
    list_roles,
    read_role,
    write_role,
    assign_roles,
    explain,
    explain_for,
)
