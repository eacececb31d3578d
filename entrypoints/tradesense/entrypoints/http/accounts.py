"""Identity: one account, for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from litestar import Response, delete, get, patch
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, Parameter
from msgspec import UNSET, Struct, UnsetType

from tradesense.core.identity.exports import Export
from tradesense.core.identity.models import User
from tradesense.entrypoints.http.account import Locale, Name
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import Exchange, current
from tradesense.entrypoints.http.guards import guard

PATH = "/api/v1/users/{user_id:str}"

Id = Annotated[str, Parameter(max_length=64)]


class AccountBody(Body, frozen=True, kw_only=True):
    """What is to change; what is left out stays."""

    name: Name | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    """Disabling ends the account's sessions on the next request, in every process within a second."""


class AccountDetail(Struct, frozen=True, kw_only=True):
    """An account, as administrators see it."""

    id: str
    email: str
    verified: bool
    name: str
    locale: str
    roles: tuple[str, ...]
    disabled: bool
    created_at: datetime


@get(PATH, opt=guard("users:read"), tags=["users"])
async def user(user_id: Id) -> AccountDetail:
    """One account."""
    return _detail(await current().services.accounts.get(user_id))


@patch(PATH, opt=guard("users:write"), tags=["users"])
async def change_user(user_id: Id, data: JSONBody[AccountBody]) -> AccountDetail:
    """Change what an account says of its owner, disable it, or let it log in again.

    Nobody can change the account of somebody who may do more than they may themselves.
    """
    here = current()
    found = await _in_reach(here, user_id)
    accounts = here.services.accounts
    if data.name is not UNSET or data.locale is not UNSET:
        name, locale = (None if value is UNSET else value for value in (data.name, data.locale))
        found = await accounts.describe(
            found.id, name=name, locale=locale, actor=here.actor, correlation_id=here.correlation_id
        )
    if data.disabled is not UNSET:
        change = accounts.disable if data.disabled else accounts.enable
        found = await change(found.id, actor=here.actor, correlation_id=here.correlation_id)
        here.services.sessions.forget_user(found.id)
    return _detail(found)


@delete(PATH, opt=guard("users:write"), status_code=204, tags=["users"])
async def delete_user(user_id: Id) -> None:
    """Delete an account with its sessions and tokens. The audit trail keeps what was done under its id."""
    here = current()
    found = await _in_reach(here, user_id)
    await here.services.accounts.remove(found.id, actor=here.actor, correlation_id=here.correlation_id)
    here.services.sessions.forget_user(found.id)


@get(f"{PATH}/export", opt=guard("users:export"), tags=["users"])
async def export_user(user_id: Id) -> Response[Export]:
    """All that is kept about the owner of an account."""
    here = current()
    export = await here.services.accounts.export((await _in_reach(here, user_id)).id)
    return Response(export, headers={"Content-Disposition": 'attachment; filename="account.json"'})


async def _in_reach(here: Exchange, user_id: str) -> User:
    """The account, if its roles permit nothing that the caller may not."""
    found = await here.services.accounts.get(user_id)
    await here.services.roles.check_grant(found.roles, here.caller())
    return found


def _detail(found: User) -> AccountDetail:
    return AccountDetail(
        id=found.id,
        email=found.email,
        verified=found.verified,
        name=found.name,
        locale=found.locale,
        roles=found.roles,
        disabled=found.disabled,
        created_at=found.created_at,
    )


ROUTES: tuple[HTTPRouteHandler, ...] = (user, change_user, delete_user, export_user)
