"""Flags as the entrypoints use them: changed under audit, evaluated from compiled definitions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tradesense.core.ambient import Clock, Ids
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.cache.ports import Backplane
from tradesense.core.errors import FlagConflict, FlagNotFound, InvalidFlag
from tradesense.core.flags.administration import Administration
from tradesense.core.flags.changes import Changes, note
from tradesense.core.flags.checking import check_flag
from tradesense.core.flags.definitions import Definitions
from tradesense.core.flags.engine import compile_flag
from tradesense.core.flags.explain import Explanation, explain
from tradesense.core.flags.keys import check_key
from tradesense.core.flags.kinds import FLAG
from tradesense.core.flags.models import Context, Evaluation, Flag, StoredFlag
from tradesense.core.flags.notices import FlagNotices
from tradesense.core.flags.preview import MAX_SAMPLES, Preview, compared
from tradesense.core.flags.review import Review
from tradesense.core.flags.segment_service import Segments
from tradesense.core.flags.stores import Stores
from tradesense.core.flags.toolkit import Toolkit
from tradesense.core.flags.toolkit import at as fixed
from tradesense.core.paging import MAX_PAGE, Page


class Flags(Administration[Flag, StoredFlag]):
    """The flags of one deployment.

    Evaluation is in memory; a change made by another process is seen within ``refresh`` seconds.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        trail: AuditTrail,
        clock: Clock,
        joined: bool,
        refresh: float = 1.0,
        review: bool = False,
        ids: Ids,
        toolkit: Toolkit | None = None,
        backplane: Backplane | None = None,
    ) -> None:
        toolkit = toolkit or Toolkit(now=lambda: clock.now().timestamp())
        definitions = Definitions(stores=stores, clock=clock, refresh=refresh, toolkit=toolkit)
        self._notices = FlagNotices(backplane, heard=definitions.stale) if backplane else None
        changes = Changes(definitions=definitions, trail=trail, joined=joined, notices=self._notices, review=review)
        super().__init__(kind=FLAG, stores=stores, definitions=definitions, changes=changes, toolkit=toolkit)
        self._clock = clock
        self.segments = Segments(stores=stores, definitions=definitions, changes=changes, toolkit=toolkit)
        self.review = Review(
            rooms={"flag": self, "segment": self.segments}, stores=stores, changes=changes, clock=clock, ids=ids
        )

    async def list(self, *, cursor: str | None = None, limit: int = 100, stale: bool = False) -> Page[StoredFlag]:
        """A page of definitions; ``limit`` is brought into 1 to 1000.

        :param stale: those alone that are past their ``expires`` and not archived.
        """
        if not stale:
            return await super().list(cursor=cursor, limit=limit)
        limit = min(max(limit, 1), MAX_PAGE)
        found: list[StoredFlag] = []
        while True:
            page = await self._stores.flags.list(cursor=cursor, limit=limit - len(found))
            found += [one for one in page.items if self.is_stale(one.flag)]
            if (cursor := page.cursor) is None or len(found) == limit:
                return Page(items=tuple(found), cursor=cursor)

    def is_stale(self, flag: Flag) -> bool:
        """Whether the flag should be gone by now: past its ``expires``, and not archived."""
        return flag.expires is not None and not flag.archived and flag.expires <= self._clock.now()

    async def run(self) -> None:
        """Hear of changes made by other processes until cancelled. Without it they are seen a little later."""
        if self._notices is not None:
            await self._notices.listen()

    async def changed_since(self, tag: str, seconds: float) -> str:
        """Wait for ``seconds`` at most for other definitions than those that ``tag`` names; the tag in force.

        :raises DatabaseUnavailable: no definitions were ever read.
        """
        return await self._definitions.changed_since(tag, seconds)

    async def check(self, definition: Flag, /) -> None:
        """Refuse a definition that cannot be evaluated, alone or together with those that it refers to.

        :raises InvalidFlag: the message names the path of each fault.
        """
        check_flag(definition, self._toolkit)
        (await self._definitions.latest()).graph(definition).check_flag(definition)

    async def evaluate(self, key: str, context: Context) -> Evaluation:
        """Evaluate one flag. It never raises for what the caller sent: the error is in the answer.

        :raises DatabaseUnavailable: no definitions were ever read.
        """
        return (await self._definitions.current()).evaluate(key, context)

    def measured(self, found: Evaluation) -> bool:
        """Whether an answer of this process was decided by chance in an experiment, so that it is an exposure."""
        return self._definitions.measured(found)

    async def evaluate_all(self, context: Context) -> tuple[Evaluation, ...]:
        """Evaluate every flag that is not archived, by key.

        :raises DatabaseUnavailable: no definitions were ever read.
        """
        return tuple((await self._definitions.current()).evaluate_all(context))

    async def preview(self, flag: Flag, samples: Sequence[Context], *, at: datetime | None = None) -> Preview:
        """Who of ``samples`` would be served another variant if ``flag`` were written, now or ``at`` another time.

        :raises InvalidFlag: the definition cannot be evaluated, or there are more than 10,000 samples.
        """
        if len(samples) > MAX_SAMPLES:
            raise InvalidFlag(f"samples: a preview takes at most {MAX_SAMPLES}, these are {len(samples)}")
        await self.check(flag)
        library = await self._definitions.current()
        toolkit = self._toolkit if at is None else fixed(at, self._toolkit)
        candidate = compile_flag(flag, toolkit, library.world)
        before = [library.evaluate(flag.key, sample) for sample in samples]
        return compared(before, [candidate(sample) for sample in samples])

    async def switch(self, key: str, *, on: bool, actor: Actor, correlation_id: str = "") -> StoredFlag:
        """Enable or disable a flag, whatever else stands in it. It never waits for a revision.

        To disable is the kill switch: it needs no approval (``flags.review``), and no check of the definition.

        :raises FlagNotFound: there is none.
        :raises ReviewRequired: to enable it is a change that a second person has to approve.
        """
        store = self._stores.written(FLAG)
        while True:
            stored = await self.get(key)
            flag = msgspec.structs.replace(stored.flag, enabled=on)
            event = Event("flags.switch", key, actor, correlation_id, detail={"enabled": str(on).lower()})
            if on:
                await self.check(flag)
            try:
                async with self._changes.making(event, reviewed=not on):
                    written = await store.put(flag, expected=stored.revision, by=actor.id)
                    note(event, written)
            except FlagConflict:
                continue  # another has written it meanwhile: what they wrote stays, and is switched
            return written

    async def adopt(self, flags: Sequence[Flag], *, actor: Actor, correlation_id: str = "") -> tuple[StoredFlag, ...]:
        """Write several definitions, as those of another flag system, in one transaction with their rows of audit.

        Where one cannot be evaluated, or written, none is. A provider that does not join the transactions of the audit
        trail writes one after the other; to begin again is safe then.

        :raises InvalidFlag: the message names flag and path of each fault.
        :raises ReviewRequired: changes need the approval of a second person.
        """
        store = self._stores.written(FLAG)
        await self._check_all(flags)
        written: list[StoredFlag] = []
        whole = Event("flags.import", "flags", actor, correlation_id, detail={"flags": str(len(flags))})
        async with self._changes.making(whole):
            for flag in flags:
                event = self._event("put", flag.key, actor, correlation_id)
                async with self._changes.recording(event):
                    written.append(await store.put(flag, by=actor.id))
                    note(event, written[-1])
        return tuple(written)

    async def _check_all(self, flags: Sequence[Flag]) -> None:
        graph = (await self._definitions.latest()).graph(*flags)
        faults: list[tuple[str, str]] = []
        for flag in flags:
            try:
                check_flag(flag, self._toolkit)
                graph.check_flag(flag)
            except InvalidFlag as error:
                told = error.faults or (("$", error.detail),)
                faults += [(f"{flag.key}.{path}", text) for path, text in told]
        if faults:
            raise InvalidFlag(faults=faults)

    async def explain(self, key: str, context: Context) -> Explanation:
        """Evaluate one flag and say why: which rule, which bucket, why not the others.

        :raises FlagNotFound: there is none.
        """
        library = await self._definitions.current()
        flag = library.get(check_key(key))
        if flag is None:
            raise FlagNotFound(f"there is no flag {key!r}")
        return explain(flag, context, self._toolkit, library.world)
