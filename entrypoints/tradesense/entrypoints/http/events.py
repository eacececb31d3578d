"""Events: publishing them, having them pushed, and what consumer groups have given up."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from msgspec import Meta, Struct

from tradesense.core.audit.service import Event
from tradesense.core.cache import cloudevents
from tradesense.core.cache.models import DeadLetter
from tradesense.core.errors import InvalidEvent
from tradesense.entrypoints.http import problems, refusals, sockets
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import authenticated, guard
from tradesense.entrypoints.http.problems import Refused
from tradesense.entrypoints.http.push import EVENT_STREAM, EventStream
from tradesense.entrypoints.http.queries import Cursor, Limit
from tradesense.entrypoints.http.streams import check_readable, wished

MOST_IDS = 1_000
UPGRADE_REQUIRED = problems.UPGRADE_REQUIRED.status

TopicsWished = Annotated[
    list[str],
    QueryParameter(name="topic", min_items=1, max_items=16, description="What to listen to; several by repeating it."),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID", max_length=4096, description="Of the last event that arrived; what came after it is sent."
    ),
]
LastId = Annotated[
    str | None, QueryParameter(max_length=4096, description="As `Last-Event-ID`, which no browser sends here.")
]


class Published(Struct, frozen=True, kw_only=True):
    """An event that was taken."""

    topic: str
    id: str
    position: str
    """Where it stands on the topic."""


class DeadLetterView(Struct, frozen=True, kw_only=True):
    """An event that a group has given up."""

    id: str
    position: str
    attempts: int
    reason: str
    """The class of the last error, or why else it was given up."""
    at: datetime
    event: dict[str, Any] | None
    """Nothing where it is no event at all."""


class DeadLetterPage(Struct, frozen=True, kw_only=True):
    """A page of dead letters."""

    items: tuple[DeadLetterView, ...]
    cursor: str | None


class Chosen(Body, frozen=True, kw_only=True):
    """Dead letters, by their ids."""

    ids: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MOST_IDS)]


class Done(Struct, frozen=True, kw_only=True):
    """How many of them there were."""

    count: int


@post("/api/v1/topics/{topic:str}/events", opt=guard("events:publish", path="topic"), status_code=202, tags=["events"])
async def publish(topic: FromPath[str], data: JSONBody[dict[str, Any]]) -> Published:
    """Publish an event: CloudEvents 1.0 in its JSON format, `application/cloudevents+json`, of 64 KiB at most.

    After a 503 the
    event may have been taken; publish it again with the same `source` and `id`, by which who reads it twice tells.
    """
    here = current()
    event = cloudevents.from_members(data)
    position = await here.services.events.publish(topic, event)
    return Published(topic=topic, id=event.id, position=position)


@get(
    "/api/v1/events",
    opt=authenticated(),
    tags=["events"],
    media_type=EVENT_STREAM,
    responses={200: ResponseSpec(str, generate_examples=False, description="The stream.", media_type=EVENT_STREAM)},
)
async def stream_events(topic: TopicsWished, last_event_id: LastEventId = None) -> Response[bytes]:
    """Have the events of topics pushed, as server-sent events.

    Needs the permission `events:read` on each topic, as in `events:read:orders`. Each message's data
    is a CloudEvent, its id is for `Last-Event-ID`. An event `gap` says that some were missed for good, `end` why the
    stream ends: `slow`, `closing` or `revoked`.
    """
    here = current()
    wish = wished(topic, last_event_id or "")
    await check_readable(here, wish.topics)
    return EventStream(here, wish)


@get(
    sockets.PATH,
    opt=authenticated(),
    tags=["events"],
    status_code=101,
    responses={
        UPGRADE_REQUIRED: ResponseSpec(
            refusals.Problem,
            media_type=problems.MEDIA_TYPE,
            description="Ask for a WebSocket.",
            generate_examples=False,
        )
    },
)
async def socket_events(topic: TopicsWished, last_event_id: LastId = None) -> None:  # noqa: ARG001  # they are for the document
    """Have the events of topics pushed over a WebSocket, as JSON texts (RFC 6455).

    Permissions are those of `GET /api/v1/events`; a cookie is taken from our own origins alone. Parameters may be left
    out and sent as the first message, `{"topics": […], "last_event_id": "…"}`. Messages are `{"kind": "event", "topic",
    "id", "event"}`, `gap`, `heartbeat` and `end`.
    """
    raise Refused(problems.UPGRADE_REQUIRED, headers={"Upgrade": "websocket", "Connection": "Upgrade"})


@get("/api/v1/topics/{topic:str}/groups/{group:str}/dead", opt=guard("events:read-dead", path="topic"), tags=["events"])
async def list_dead(
    topic: FromPath[str], group: FromPath[str], cursor: Cursor = None, limit: Limit = 100
) -> DeadLetterPage:
    """What the group has given up, oldest first."""
    page = await current().services.events.dead(topic, group, cursor=cursor, limit=limit)
    return DeadLetterPage(items=tuple(_view(letter) for letter in page.items), cursor=page.cursor)


@post(
    "/api/v1/topics/{topic:str}/groups/{group:str}/dead/replay",
    opt=guard("events:write-dead", path="topic"),
    status_code=200,
    tags=["events"],
)
async def replay_dead(topic: FromPath[str], group: FromPath[str], data: JSONBody[Chosen]) -> Done:
    """Hand dead letters out to their group again, as if for the first time."""
    here = current()
    change = Event("events.replay", f"{topic} {group}", here.actor, here.correlation_id)
    async with here.services.trail.change(change, joined=False):
        count = await here.services.events.replay(topic, group, data.ids)
        change.detail["count"] = str(count)
    return Done(count=count)


@post(
    "/api/v1/topics/{topic:str}/groups/{group:str}/dead/discard",
    opt=guard("events:write-dead", path="topic"),
    status_code=200,
    tags=["events"],
)
async def discard_dead(topic: FromPath[str], group: FromPath[str], data: JSONBody[Chosen]) -> Done:
    """Remove dead letters."""
    here = current()
    change = Event("events.discard", f"{topic} {group}", here.actor, here.correlation_id)
    async with here.services.trail.change(change, joined=False):
        count = await here.services.events.discard(topic, group, data.ids)
        change.detail["count"] = str(count)
    return Done(count=count)


def _view(letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        id=letter.id,
        position=letter.position,
        attempts=letter.attempts,
        reason=letter.reason,
        at=letter.at,
        event=_members(letter.message),
    )


def _members(message: bytes) -> dict[str, Any] | None:
    try:
        return cloudevents.members(cloudevents.decode(message))
    except InvalidEvent:
        return None


ROUTES: tuple[HTTPRouteHandler, ...] = (publish, stream_events, socket_events, list_dead, replay_dead, discard_dead)
