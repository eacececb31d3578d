"""The sessions of one user: seen from any of them, or by an administrator, and ended."""

from __future__ import annotations

from msgspec.structs import replace

from tradesense.core.ambient import Clock
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import SessionNotFound
from tradesense.core.identity.liveness import alive
from tradesense.core.identity.models import IdentityPolicy, Session
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.identity.recognition import Recognition
from tradesense.core.paging import MAX_PAGE, Page

BROWSERS = (
    ("edg/", "Edge"),
    ("opr/", "Opera"),
    ("firefox/", "Firefox"),
    ("chrome/", "Chrome"),
    ("safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "a Python program"),
)
SYSTEMS = (
    ("android", "Android"),
    ("iphone", "iPhone"),
    ("ipad", "iPad"),
    ("windows", "Windows"),
    ("mac os", "macOS"),
    ("linux", "Linux"),
)


def device_of(user_agent: str) -> str:
    """What a person would call the device, as in ``Firefox on Linux``. It is what the client says of itself."""
    text = user_agent.casefold()
    browser = next((name for mark, name in BROWSERS if mark in text), "")
    system = next((name for mark, name in SYSTEMS if mark in text), "")
    return f"{browser} on {system}" if browser and system else browser or system or "unknown"


class Devices:
    """Where users are logged in."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        recognition: Recognition,
        trail: AuditTrail,
        clock: Clock,
        policy: IdentityPolicy,
        joined: bool,
    ) -> None:
        self._store = store
        self._recognition = recognition
        self._trail = trail
        self._clock = clock
        self._policy = policy
        self._joined = joined

    async def list(self, user_id: str, *, cursor: str | None = None, limit: int = 100) -> Page[Session]:
        """The user's sessions that are alive, by birth; a page may hold fewer than ``limit`` and not be the last.

        :raises UserNotFound: there is no such user.
        """
        user = await self._store.users.get(user_id)
        page = await self._store.user_sessions.list(user_id, cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))
        now = self._clock.now()
        living = (session for session in page.items if alive(session, user, policy=self._policy, now=now))
        return Page(items=tuple(living), cursor=page.cursor)

    async def end(self, user_id: str, session_id: str, *, actor: Actor, correlation_id: str = "") -> None:
        """End one session of the user.

        :raises SessionNotFound: the user has none with this id.
        """
        event = Event("identity.session-end", user_id, actor, correlation_id, {"session": session_id})
        async with self._trail.change(event, joined=self._joined):
            found = await self._store.sessions.find_by_id(session_id)
            if found is None or found[0].user_id != user_id:
                raise SessionNotFound("there is no such session")
            await self._store.sessions.end(session_id)
        self._recognition.forget(lambda known: known.session_id == session_id)

    async def end_others(self, user_id: str, keep: str, *, actor: Actor, correlation_id: str = "") -> int:
        """End all sessions of the user but the one with the id ``keep``; returns how many that were."""
        event = Event("identity.sessions-end", user_id, actor, correlation_id, {"kept": keep})
        async with self._trail.change(event, joined=self._joined):
            ended = await self._store.user_sessions.end(user_id, keep=keep)
            event.detail["ended"] = str(ended)
        self._recognition.forget(lambda known: known.user_id == user_id and known.session_id != keep)
        return ended

    async def end_all(self, user_id: str, *, actor: Actor, correlation_id: str = "") -> int:
        """End every session of the user, for an administrator; returns how many that were.

        :raises UserNotFound: there is no such user.
        :raises Conflict: the account changed meanwhile; nothing was ended.
        """
        event = Event("identity.sessions-end", user_id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            user = await self._store.users.get(user_id)
            await self._store.users.update(replace(user, epoch=user.epoch + 1))
            ended = await self._store.user_sessions.end(user_id)
            event.detail["ended"] = str(ended)
        self._recognition.forget(lambda known: known.user_id == user_id)
        return ended
