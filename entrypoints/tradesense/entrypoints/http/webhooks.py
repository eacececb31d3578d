"""Webhooks: who is told of identity's events, what became of it, and telling them again."""

from __future__ import annotations

from datetime import datetime

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from tradesense.core.identity.webhooks import Delivery
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard
from tradesense.entrypoints.http.queries import Cursor, Limit

PATH = "/api/v1/webhooks"


class WebhookView(Struct, frozen=True, kw_only=True):
    """Who is told of what. The secret stays in the secrets room, and in the settings."""

    name: str
    url: str
    events: tuple[str, ...]


class WebhookViews(Struct, frozen=True, kw_only=True):
    """All of them: they are chosen by settings, and few."""

    items: tuple[WebhookView, ...]


class DeliveryView(Struct, frozen=True, kw_only=True):
    """One attempt. What the receiver answered beyond its status is read by nobody."""

    id: str
    """Of the message, the same for all of its attempts."""
    event: str
    at: datetime
    attempt: int
    taken: bool
    status: int | None
    error: str


class Deliveries(Struct, frozen=True, kw_only=True):
    """A page of attempts."""

    items: tuple[DeliveryView, ...]
    cursor: str | None


class Queued(Struct, frozen=True, kw_only=True):
    """A message that will be sent as soon as a worker has the time."""

    id: str


class Rotated(Struct, frozen=True, kw_only=True):
    """Where the new secret lies."""

    path: str
    """In the secrets room, whose permissions say who may read it."""


@get(PATH, opt=guard("webhooks:read"), tags=["webhooks"])
async def webhooks() -> WebhookViews:
    """Who is told of identity's events."""
    known = current().services.webhooks.known
    return WebhookViews(
        items=tuple(WebhookView(name=name, url=one.url, events=one.events) for name, one in sorted(known.items()))
    )


@get(f"{PATH}/{{name:str}}/deliveries", opt=guard("webhooks:read"), tags=["webhooks"])
async def deliveries(name: FromPath[str], cursor: Cursor = None, limit: Limit = 100) -> Deliveries:
    """What was sent, attempt by attempt, the newest first."""
    page = await current().services.webhooks.deliveries(name, cursor=cursor, limit=limit)
    return Deliveries(items=tuple(map(_view, page.items)), cursor=page.cursor)


@post(
    f"{PATH}/{{name:str}}/deliveries/{{message_id:str}}/redeliver",
    opt=guard("webhooks:write"),
    status_code=202,
    tags=["webhooks"],
)
async def redeliver(name: FromPath[str], message_id: FromPath[str]) -> Queued:
    """Send a message once more. It keeps its id, so that a receiver that has it passes over it."""
    here = current()
    await here.services.webhooks.redeliver(name, message_id, actor=here.actor, correlation_id=here.correlation_id)
    return Queued(id=message_id)


@post(f"{PATH}/{{name:str}}/test", opt=guard("webhooks:write"), status_code=202, tags=["webhooks"])
async def test(name: FromPath[str]) -> Queued:
    """Tell one of an event that did not happen, `webhooks.test`. What became of it is among the deliveries."""
    here = current()
    message_id = await here.services.webhooks.test(name, actor=here.actor, correlation_id=here.correlation_id)
    return Queued(id=message_id)


@post(
    f"{PATH}/{{name:str}}/secret/rotate",
    opt=guard("webhooks:write", step_up=True),
    status_code=200,
    tags=["webhooks"],
)
async def rotate(name: FromPath[str]) -> Rotated:
    """Make a new secret. For a day messages are signed with the one before as well."""
    here = current()
    path = await here.services.webhooks.rotate(name, actor=here.actor, correlation_id=here.correlation_id)
    return Rotated(path=path)


def _view(one: Delivery) -> DeliveryView:
    return DeliveryView(
        id=one.id,
        event=one.event,
        at=one.at,
        attempt=one.attempt,
        taken=one.taken,
        status=one.status,
        error=one.error,
    )


ROUTES: tuple[HTTPRouteHandler, ...] = (webhooks, deliveries, redeliver, test, rotate)
