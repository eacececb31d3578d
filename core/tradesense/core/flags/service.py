"""Flags as the entrypoints use them: changed under audit, evaluated from compiled definitions."""

from __future__ import annotations

from tradesense.core.ambient import Clock
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.flags.definitions import Definitions
from tradesense.core.flags.models import (
    Context,
    ErrorCode,
    Evaluation,
    Flag,
    Reason,
    StoredFlag,
    check_flag,
    check_key,
)
from tradesense.core.flags.ports import FlagStore
from tradesense.core.paging import MAX_PAGE, Page


class Flags:
    """The flags of one deployment.

    Evaluation is in memory; a change made by another process is seen within ``refresh`` seconds.
    """

    def __init__(
        self, *, store: FlagStore, trail: AuditTrail, clock: Clock, joined: bool, refresh: float = 1.0
    ) -> None:
        self._store = store
        self._trail = trail
        self._joined = joined
        self._definitions = Definitions(store=store, clock=clock, refresh=refresh)

    async def get(self, key: str) -> StoredFlag:
        """The flag's definition.

        :raises FlagNotFound: there is none.
        """
        return await self._store.get(check_key(key))

    async def put(
        self, flag: Flag, *, actor: Actor, expected: int | None = None, correlation_id: str = ""
    ) -> StoredFlag:
        """Write a new revision; this process evaluates by it at once.

        :param expected: the revision that must be current, 0 for none; any when left out.
        :raises InvalidFlag: it cannot be evaluated; the message names the path.
        :raises FlagConflict: another revision is current.
        """
        event = Event("flags.put", check_flag(flag).key, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            stored = await self._store.put(flag, expected=expected)
            event.detail["revision"] = str(stored.revision)
        self._definitions.changed()
        return stored

    async def delete(self, key: str, *, actor: Actor, expected: int | None = None, correlation_id: str = "") -> None:
        """Remove the flag.

        :raises FlagNotFound: there is none.
        :raises FlagConflict: another revision is current.
        """
        event = Event("flags.delete", check_key(key), actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            await self._store.delete(key, expected=expected)
        self._definitions.changed()

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[StoredFlag]:
        """A page of definitions; ``limit`` is brought into 1 to 1000."""
        return await self._store.list(cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))

    async def evaluate(self, key: str, context: Context) -> Evaluation:
        """Evaluate one flag. It never raises for what the caller sent: the error is in the answer.

        :raises DatabaseUnavailable: no definitions were ever read.
        """
        compiled = (await self._definitions.current()).get(key)
        if compiled is None:
            return Evaluation(
                key=key,
                reason=Reason.ERROR,
                error_code=ErrorCode.FLAG_NOT_FOUND,
                error_details="there is no such flag",
            )
        return compiled(context)

    async def evaluate_all(self, context: Context) -> tuple[Evaluation, ...]:
        """Evaluate every flag, by key.

        :raises DatabaseUnavailable: no definitions were ever read.
        """
        compiled = await self._definitions.current()
        return tuple(compiled[key](context) for key in sorted(compiled))
