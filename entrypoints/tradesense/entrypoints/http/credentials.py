"""Identity: passwords and addresses, and the links that prove them.

Tokens of links come in bodies, never in paths or queries (ASVS 14.2.1). Who asks for a link is told the same whether or
not the address has an account.
"""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from tradesense.core.cache.models import Limit
from tradesense.core.identity.attempts import block
from tradesense.core.identity.models import Via
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import Exchange, current
from tradesense.entrypoints.http.guards import guard, public
from tradesense.entrypoints.http.identity import Accepted, Email, LoginAnswer, ReturnTo, logged_in

SELF = "identity:self"


class AddressBody(Body, frozen=True, kw_only=True):
    """The address of an account, if it has one."""

    email: Email
    return_to: ReturnTo = ""


class LinkBody(Body, frozen=True, kw_only=True):
    """The token of a link."""

    token: Secret


class OnwardBody(LinkBody, frozen=True, kw_only=True):
    """The token of a link, and where the link said to go on to."""

    return_to: ReturnTo = ""


class ResetBody(OnwardBody, frozen=True, kw_only=True):
    """The token of a link, and the password to be."""

    password: Secret


class ChangePasswordBody(Body, frozen=True, kw_only=True):
    """The password that is, and the one to be."""

    current_password: Secret
    new_password: Secret


class ChangeEmailBody(Body, frozen=True, kw_only=True):
    """The address to be, and the password."""

    email: Email
    password: Secret


class Done(Struct, frozen=True, kw_only=True):
    """It is done."""

    status: Literal["done"] = "done"
    return_to: str | UnsetType = UNSET
    """Where to, if the link said so and one may be sent there still."""


class Confirmed(Struct, frozen=True, kw_only=True):
    """One of the two addresses is confirmed, or both are and the account has moved."""

    status: Annotated[Literal["half", "done"], Meta(description="`half` until the other address has confirmed too")]


@post("/api/v1/auth/verify-email", opt=public(), status_code=200, tags=["auth"])
async def verify_email(data: JSONBody[OnwardBody]) -> Done:
    """Prove an address by the token of the link that was sent to it."""
    here = current()
    here.services.returns.check(data.return_to)
    await here.services.addresses.verify(data.token, actor=here.actor, correlation_id=here.correlation_id)
    return Done(return_to=data.return_to or UNSET)


@post("/api/v1/auth/verify-email/resend", opt=public(), status_code=202, tags=["auth"])
async def resend(data: JSONBody[AddressBody]) -> Accepted:
    """Have the link that verifies an address sent again. The answer is the same whether or not it has an account."""
    here = current()
    await _count_address(here)
    await here.services.addresses.ask_again(
        data.email, return_to=data.return_to, actor=here.actor, correlation_id=here.correlation_id
    )
    return Accepted()


@post("/api/v1/auth/password/forgot", opt=public(), status_code=202, tags=["auth"])
async def forgot(data: JSONBody[AddressBody]) -> Accepted:
    """Have a link sent that resets the password. The answer is the same whether or not the address has an account."""
    here = current()
    await _count_address(here)
    await here.services.credentials.forgot(
        data.email, return_to=data.return_to, actor=here.actor, correlation_id=here.correlation_id
    )
    return Accepted()


@post("/api/v1/auth/password/reset", opt=public(), status_code=200, tags=["auth"])
async def reset(data: JSONBody[ResetBody]) -> Done:
    """Set a new password by the token of a link. Every session of the account ends, and none begins."""
    here = current()
    here.services.returns.check(data.return_to)
    await here.services.credentials.reset(
        data.token, data.password, actor=here.actor, correlation_id=here.correlation_id
    )
    return Done(return_to=data.return_to or UNSET)


@post(
    "/api/v1/auth/password/change",
    opt=guard(SELF),
    status_code=200,
    tags=["auth"],
    type_encoders={Secret: Secret.reveal},
)
async def change_password(data: JSONBody[ChangePasswordBody]) -> Response[LoginAnswer]:
    """Change the password. Every other session ends; this one goes on under a new id, carried as before."""
    here = current()
    caller = here.caller()
    done = await here.services.credentials.change(
        caller,
        data.current_password,
        data.new_password,
        client=here.client,
        actor=here.actor,
        correlation_id=here.correlation_id,
        tokens=None if caller.via is Via.COOKIE else here.services.tokens,
    )
    return logged_in(here, done)


@post("/api/v1/auth/email/change", opt=guard(SELF), status_code=202, tags=["auth"])
async def change_email(data: JSONBody[ChangeEmailBody]) -> Accepted:
    """Begin to move the account to another address. Both are sent a link, and both have to confirm."""
    here = current()
    await here.services.addresses.change(
        here.caller(), data.password, data.email, actor=here.actor, correlation_id=here.correlation_id
    )
    return Accepted()


@post("/api/v1/auth/email/confirm", opt=public(), status_code=200, tags=["auth"])
async def confirm_email(data: JSONBody[LinkBody]) -> Confirmed:
    """Confirm a move at one of the two addresses by the token of the link that was sent to it."""
    here = current()
    moved = await here.services.addresses.confirm(data.token, actor=here.actor, correlation_id=here.correlation_id)
    return Confirmed(status="done" if moved else "half")


async def _count_address(here: Exchange) -> None:
    policy = here.services.settings.identity.policy
    limit = Limit(name="mails-address", count=policy.login_attempts_per_address, period=policy.login_window)
    await here.services.throttle.attempt(block(here.address) or "unknown", limit)


ROUTES: tuple[HTTPRouteHandler, ...] = (
    verify_email,
    resend,
    forgot,
    reset,
    change_password,
    change_email,
    confirm_email,
)
