"""Flags as the entrypoints use them: changed under audit, evaluated from compiled definitions."""

from __future__ import annotations

from tradesense.core.ambient import Clock
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import FlagConflict, FlagNotFound
from tradesense.core.flags.checking import check_flag
from tradesense.core.flags.definitions import Definitions
from tradesense.core.flags.explain import Explanation, explain
from tradesense.core.flags.keys import check_key
from tradesense.core.flags.models import Context, Evaluation, Flag, StoredFlag
from tradesense.core.flags.ports import FlagStore
from tradesense.core.flags.toolkit import Toolkit
from tradesense.core.paging import MAX_PAGE, Page


class Flags:
    """The flags of one deployment.

    Evaluation is in memory; a change made by another process is seen within ``refresh`` seconds.
    """

    def __init__(
        self,
        *,
        store: FlagStore,
        trail: AuditTrail,
        clock: Clock,
        joined: bool,
        refresh: float = 1.0,
        toolkit: Toolkit | None = None,
    ) -> None:
        self._store = store
        self._trail = trail
        self._joined = joined
        self._toolkit = toolkit or Toolkit(now=lambda: clock.now().timestamp())
        self._definitions = Definitions(store=store, clock=clock, refresh=refresh, toolkit=self._toolkit)

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
        await self.check(flag)
        event = Event("flags.put", flag.key, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            stored = await self._store.put(flag, expected=expected)
            event.detail["revision"] = str(stored.revision)
        self._definitions.changed()
        return stored

    async def delete(self, key: str, *, actor: Actor, expected: int | None = None, correlation_id: str = "") -> None:
        """Remove the flag.

        :raises FlagNotFound: there is none.
        :raises FlagConflict: another revision is current, or another flag has this one as a prerequisite.
        """
        event = Event("flags.delete", check_key(key), actor, correlation_id)
        if users := (await self._definitions.current()).graph().users_of_flag(key):
            raise FlagConflict(f"{key!r} is a prerequisite of {', '.join(users[:10])}", mend="change them first")
        async with self._trail.change(event, joined=self._joined):
            await self._store.delete(key, expected=expected)
        self._definitions.changed()

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[StoredFlag]:
        """A page of definitions; ``limit`` is brought into 1 to 1000."""
        return await self._store.list(cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))

    async def check(self, flag: Flag) -> None:
        """Refuse a definition that cannot be evaluated, alone or together with those that it refers to.

        :raises InvalidFlag: the message names the path of each fault.
        """
        check_flag(flag, self._toolkit)
        (await self._definitions.current()).graph(flag).check_flag(flag)

    async def evaluate(self, key: str, context: Context) -> Evaluation:
        """Evaluate one flag. It never raises for what the caller sent: the error is in the answer.

        :raises DatabaseUnavailable: no definitions were ever read.
        """
        return (await self._definitions.current()).evaluate(key, context)

    async def evaluate_all(self, context: Context) -> tuple[Evaluation, ...]:
        """Evaluate every flag that is not archived, by key.

        :raises DatabaseUnavailable: no definitions were ever read.
        """
        return tuple((await self._definitions.current()).evaluate_all(context))

    async def explain(self, key: str, context: Context) -> Explanation:
        """Evaluate one flag and say why: which rule, which bucket, why not the others.

        :raises FlagNotFound: there is none.
        """
        library = await self._definitions.current()
        flag = library.get(check_key(key))
        if flag is None:
            raise FlagNotFound(f"there is no flag {key!r}")
        return explain(flag, context, self._toolkit, library.world)
