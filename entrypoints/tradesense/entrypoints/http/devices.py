"""Identity: where the caller is logged in, ending that, and proving once more who is there."""

from __future__ import annotations

from datetime import datetime

from litestar import Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from tradesense.core.identity.devices import device_of
from tradesense.core.identity.models import Session, Via
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http import cookies
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard
from tradesense.entrypoints.http.identity import LoginAnswer, by_token, view
from tradesense.entrypoints.http.queries import Cursor, Limit


class Password(Body, frozen=True, kw_only=True):
    """The caller's own."""

    password: Secret


class SessionEntry(Struct, frozen=True, kw_only=True):
    """A session that is alive."""

    id: str
    current: bool
    """Whether this request came with it."""
    device: str
    """As the client describes itself."""
    address: str
    authenticated_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    methods: tuple[str, ...]
    """How the user logged in (RFC 8176)."""


class SessionEntries(Struct, frozen=True, kw_only=True):
    """A page of sessions."""

    items: tuple[SessionEntry, ...]
    cursor: str | None


class Ended(Struct, frozen=True, kw_only=True):
    """How many sessions were ended."""

    ended: int


@get("/api/v1/auth/sessions", opt=guard("identity:self"), tags=["auth"])
async def sessions(cursor: Cursor = None, limit: Limit = 100) -> SessionEntries:
    """Where the caller is logged in."""
    caller = current().caller()
    return await _page(caller.user_id, cursor, limit, here=caller.session_id)


@delete("/api/v1/auth/sessions/{session_id:str}", opt=guard("identity:self"), status_code=204, tags=["auth"])
async def end_session(session_id: FromPath[str]) -> None:
    """End one of the caller's sessions."""
    here = current()
    await here.services.devices.end(
        here.caller().user_id, session_id, actor=here.actor, correlation_id=here.correlation_id
    )


@post("/api/v1/auth/logout-others", opt=guard("identity:self"), status_code=200, tags=["auth"])
async def logout_others() -> Ended:
    """End every session of the caller but this one."""
    here = current()
    caller = here.caller()
    ended = await here.services.devices.end_others(
        caller.user_id, caller.session_id, actor=here.actor, correlation_id=here.correlation_id
    )
    return Ended(ended=ended)


@post(
    "/api/v1/auth/step-up",
    opt=guard("identity:self"),
    status_code=200,
    tags=["auth"],
    type_encoders={Secret: Secret.reveal},
)
async def step_up(data: JSONBody[Password]) -> Response[LoginAnswer]:
    """Prove once more who is there. The session goes on under a new id, carried as the one before was."""
    here = current()
    caller = here.caller()
    done = await here.services.sessions.step_up(
        caller,
        data.password,
        client=here.client,
        actor=here.actor,
        correlation_id=here.correlation_id,
        tokens=None if caller.via is Via.COOKIE else here.services.tokens,
    )
    if done.pair is not None:
        return Response(by_token(done, done.pair))
    answer = LoginAnswer(user=view(done.user), csrf_token=here.services.csrf.issue(done.session.id))
    return Response(answer, cookies=[cookies.session(here, done.token)])


@get("/api/v1/users/{user_id:str}/sessions", opt=guard("users:read"), tags=["users"])
async def sessions_of(user_id: FromPath[str], cursor: Cursor = None, limit: Limit = 100) -> SessionEntries:
    """Where a user is logged in."""
    return await _page(user_id, cursor, limit)


@delete("/api/v1/users/{user_id:str}/sessions", opt=guard("users:write"), status_code=200, tags=["users"])
async def end_sessions_of(user_id: FromPath[str]) -> Ended:
    """End every session of a user."""
    here = current()
    ended = await here.services.devices.end_all(user_id, actor=here.actor, correlation_id=here.correlation_id)
    return Ended(ended=ended)


@delete(
    "/api/v1/users/{user_id:str}/sessions/{session_id:str}", opt=guard("users:write"), status_code=204, tags=["users"]
)
async def end_session_of(user_id: FromPath[str], session_id: FromPath[str]) -> None:
    """End one session of a user."""
    here = current()
    await here.services.devices.end(user_id, session_id, actor=here.actor, correlation_id=here.correlation_id)


async def _page(user_id: str, cursor: str | None, limit: int, here: str = "") -> SessionEntries:
    page = await current().services.devices.list(user_id, cursor=cursor, limit=limit)
    return SessionEntries(items=tuple(_entry(session, here) for session in page.items), cursor=page.cursor)


def _entry(session: Session, here: str) -> SessionEntry:
    return SessionEntry(
        id=session.id,
        current=session.id == here,
        device=device_of(session.user_agent),
        address=session.address,
        authenticated_at=session.created_at,
        last_seen_at=session.last_seen_at,
        expires_at=session.expires_at,
        methods=session.methods,
    )


ROUTES: tuple[HTTPRouteHandler, ...] = (
    sessions,
    end_session,
    logout_others,
    step_up,
    sessions_of,
    end_sessions_of,
    end_session_of,
)
