"""Identity: accounts, for administrators."""

from __future__ import annotations

from datetime import datetime

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import Struct

from tradesense.core.identity.models import USER, User
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard
from tradesense.entrypoints.http.identity import Email
from tradesense.entrypoints.http.queries import Cursor, Limit, Text


class NewUser(Body, frozen=True, kw_only=True):
    """An account to be made."""

    email: Email
    password: Secret
    roles: tuple[str, ...] = (USER,)


class Account(Struct, frozen=True, kw_only=True):
    """An account, as administrators see it."""

    id: str
    email: str
    roles: tuple[str, ...]
    disabled: bool
    created_at: datetime


class Accounts(Struct, frozen=True, kw_only=True):
    """A page of accounts."""

    items: tuple[Account, ...]
    cursor: str | None


@get("/api/v1/users", opt=guard("users:read"), tags=["users"])
async def users(role: Text = "", cursor: Cursor = None, limit: Limit = 100) -> Accounts:
    """A page of accounts, only those with ``role`` where one is given."""
    page = await current().services.accounts.list(role=role, cursor=cursor, limit=limit)
    return Accounts(items=tuple(account(user) for user in page.items), cursor=page.cursor)


@post("/api/v1/users", opt=guard("users:write"), status_code=201, tags=["users"])
async def create_user(data: JSONBody[NewUser]) -> Account:
    """Make an account. Nobody can give a role that permits more than they may themselves."""
    here = current()
    await here.services.roles.check_grant(data.roles, here.caller())
    user = await here.services.accounts.create(
        data.email, data.password, roles=data.roles, actor=here.actor, correlation_id=here.correlation_id
    )
    return account(user)


def account(user: User) -> Account:
    """What administrators see of an account."""
    return Account(id=user.id, email=user.email, roles=user.roles, disabled=user.disabled, created_at=user.created_at)


ROUTES: tuple[HTTPRouteHandler, ...] = (users, create_user)
