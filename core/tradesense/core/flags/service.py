"""Flags as the entrypoints use them: changed under audit, evaluated from compiled definitions."""

from __future__ import annotations

import asyncio

from tradesense.core.ambient import Clock
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import DatabaseUnavailable
from tradesense.core.flags.engine import Compiled, compile_flag
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

    Evaluation is in memory. The store is asked for its generation at most every ``refresh`` seconds, and read again
    only when that has grown, so a change made by another process is seen within ``refresh`` seconds.
    """

    def __init__(
        self, *, store: FlagStore, trail: AuditTrail, clock: Clock, joined: bool, refresh: float = 1.0
    ) -> None:
        self._store = store
        self._trail = trail
        self._clock = clock
        self._joined = joined
        self._refresh = refresh
        self._compiled: dict[str, Compiled] = {}
        self._generation = -1
        self._asked = float("-inf")
        self._reading = asyncio.Lock()

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
        self._asked = float("-inf")
        return stored

    async def delete(self, key: str, *, actor: Actor, expected: int | None = None, correlation_id: str = "") -> None:
        """Remove the flag.

        :raises FlagNotFound: there is none.
        :raises FlagConflict: another revision is current.
        """
        event = Event("flags.delete", check_key(key), actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            await self._store.delete(key, expected=expected)
        self._asked = float("-inf")

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[StoredFlag]:
        """A page of definitions; ``limit`` is brought into 1 to 1000."""
        return await self._store.list(cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))

    async def evaluate(self, key: str, context: Context) -> Evaluation:
        """Evaluate one flag. It never raises for what the caller sent: the error is in the answer.

        :raises DatabaseUnavailable: no definitions were ever read.
        """
        if self._clock.monotonic() - self._asked >= self._refresh:
            await self._read()
        compiled = self._compiled.get(key)
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
        if self._clock.monotonic() - self._asked >= self._refresh:
            await self._read()
        return tuple(self._compiled[key](context) for key in sorted(self._compiled))

    async def _read(self) -> None:
        async with self._reading:
            asked = self._clock.monotonic()
            if asked - self._asked < self._refresh:
                return  # another caller has read meanwhile
            try:
                generation = await self._store.generation()
                if generation != self._generation:
                    self._compiled = await self._compile()
                    self._generation = generation
            except DatabaseUnavailable:
                if self._generation < 0:
                    raise
                # The last known definitions are better than none; they are asked for again after `refresh`.
            self._asked = asked

    async def _compile(self) -> dict[str, Compiled]:
        compiled: dict[str, Compiled] = {}
        cursor: str | None = None
        while True:
            page = await self._store.list(cursor=cursor, limit=MAX_PAGE)
            compiled.update({stored.flag.key: compile_flag(stored.flag) for stored in page.items})
            if (cursor := page.cursor) is None:
                return compiled
