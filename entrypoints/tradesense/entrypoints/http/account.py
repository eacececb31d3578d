"""Identity: one's own account."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from tradesense.core.identity.exports import Export
from tradesense.core.identity.models import User
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http import cookies
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.credentials import SELF
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard

PATH = "/api/v1/auth/account"

Name = Annotated[str, Meta(max_length=200)]
Locale = Annotated[str, Meta(max_length=35)]


class ProfileBody(Body, frozen=True, kw_only=True):
    """What is to change; what is left out stays."""

    name: Name | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    """A language that mails are written in, as in ``de``; the deployment's when empty."""


class PasswordBody(Body, frozen=True, kw_only=True):
    """The password."""

    password: Secret


class Profile(Struct, frozen=True, kw_only=True):
    """An account, as its owner sees it."""

    id: str
    email: str
    verified: bool
    next_email: str
    """The address that the account is about to move to."""
    name: str
    locale: str
    roles: tuple[str, ...]


@get(PATH, opt=guard(SELF), tags=["auth"])
async def account() -> Profile:
    """The caller's own account."""
    here = current()
    return _profile(await here.services.accounts.get(here.caller().user_id))


@patch(PATH, opt=guard(SELF), tags=["auth"])
async def describe_account(data: JSONBody[ProfileBody]) -> Profile:
    """Change one's name, or the language that one is written to in."""
    here = current()
    changed = await here.services.accounts.describe(
        here.caller().user_id,
        name=None if data.name is UNSET else data.name,
        locale=None if data.locale is UNSET else data.locale,
        actor=here.actor,
        correlation_id=here.correlation_id,
    )
    return _profile(changed)


@get(f"{PATH}/export", opt=guard(SELF), tags=["auth"])
async def export_account() -> Response[Export]:
    """All that is kept about the caller, to take along."""
    here = current()
    export = await here.services.accounts.export(here.caller().user_id)
    return Response(export, headers={"Content-Disposition": 'attachment; filename="account.json"'})


@post(f"{PATH}/delete", opt=guard(SELF), status_code=204, tags=["auth"])
async def delete_account(data: JSONBody[PasswordBody]) -> Response[None]:
    """Delete one's own account, with all that belongs to it. It takes the password, and cannot be undone."""
    here = current()
    caller = here.caller()
    await here.services.credentials.prove(caller, data.password, actor=here.actor, correlation_id=here.correlation_id)
    await here.services.accounts.remove(caller.user_id, actor=here.actor, correlation_id=here.correlation_id)
    here.services.sessions.forget_user(caller.user_id)
    return Response(None, cookies=[cookies.no_session(here)])


def _profile(user: User) -> Profile:
    return Profile(
        id=user.id,
        email=user.email,
        verified=user.verified,
        next_email=user.next_email,
        name=user.name,
        locale=user.locale,
        roles=user.roles,
    )


ROUTES: tuple[HTTPRouteHandler, ...] = (account, describe_account, export_account, delete_account)
