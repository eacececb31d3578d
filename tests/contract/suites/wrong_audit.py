"""Audit logs that are wrong on purpose."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.audit import MemoryAuditLog
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.core.audit import AuditLog
from tradesense.core.audit.chain import AuditChain, head_of
from tradesense.core.audit.models import AuditQuery
from tradesense.core.capabilities import Capability
from tradesense.core.paging import Page
from tradesense.core.testing import AuditLogContract, ManualClock


class OverMemory(AuditLogContract):
    """The memory log, which is right; what is wrong is a subclass of it. Here it is shared within one process."""

    capabilities = contracted.manifest("memory", AuditLog).capabilities | {Capability.SHARED, Capability.PERSISTENT}
    Log = MemoryAuditLog
    patience = 0.5

    @pytest.fixture
    def state(self):
        return MemoryState()

    @pytest.fixture
    def adapter(self, state, chain):
        return lambda: self.Log(state, chain=chain, clock=ManualClock())

    @pytest.fixture
    def transactions(self, state):
        return lambda _: MemoryTransactions(state)


class TestRight(OverMemory):
    patience = 10


class TestGivesANumberTwice(OverMemory):
    caught_by = (
        "test_concurrent_appends_get_consecutive_numbers",
        "test_concurrent_appends_in_two_logs_get_consecutive_numbers",
    )

    class Log(MemoryAuditLog):
        async def append(self, entry):
            self.check_open()
            head = self._head()
            await asyncio.sleep(0)
            async with self.state.begin():
                record = self._chain.link(head, entry, self._clock.now())
                self._rows.records.put(record.seq, msgspec.msgpack.encode(record))
                self._rows.heads.put(record.stream, head_of(record))
            return record


class TestCountsForItself(OverMemory):
    """A sequence of the database leaves a gap where a transaction rolled back; so does this."""

    caught_by = (
        "test_a_rolled_back_record_never_was_and_its_number_is_used_again",
        "test_concurrent_commits_and_roll_backs_leave_no_gap",
    )

    class Log(MemoryAuditLog):
        seq = 0

        def _head(self):
            return replace(super()._head(), seq=self.seq)

        async def append(self, entry):
            record = await super().append(entry)
            self.seq = record.seq
            return record


class TestJoinsNoTransaction(OverMemory):
    caught_by = ("test_a_rolled_back_record_never_was_and_its_number_is_used_again",)

    @pytest.fixture
    def transactions(self):
        return lambda _: MemoryTransactions(MemoryState())


class TestHashesWithoutTheKey(OverMemory):
    caught_by = ("test_a_record_comes_back_as_it_was_appended", "test_concurrent_appends_get_consecutive_numbers")

    class Log(MemoryAuditLog):
        def __init__(self, state, *, chain, clock):
            super().__init__(state, chain=AuditChain(b"", stream=chain.stream), clock=clock)


class TestForgetsTheAddress(OverMemory):
    caught_by = ("test_a_record_comes_back_as_it_was_appended",)

    class Log(MemoryAuditLog):
        async def append(self, entry):
            return await super().append(replace(entry, actor=replace(entry.actor, address="")))


class TestSharesItsObjects(OverMemory):
    caught_by = ("test_nobody_changes_a_record_through_what_was_given",)

    class Log(MemoryAuditLog):
        async def append(self, entry):
            record = await super().append(entry)
            self.__dict__.setdefault("given", {})[record.seq] = record
            return record

        async def read(self, query=None, *, cursor=None, limit=100, **order):
            page = await super().read(query, cursor=cursor, limit=limit, **order)
            return replace(page, items=tuple(self.given.get(record.seq, record) for record in page.items))


class TestMatchesBeginnings(OverMemory):
    caught_by = ("test_filters_find_what_they_name_and_nothing_else",)

    class Log(MemoryAuditLog):
        async def read(self, query=None, *, cursor=None, limit=100, **order):
            asked = query or AuditQuery()
            room = asked.action.removesuffix(".*") if asked.action.endswith(".*") else ""
            every = await super().read(replace(asked, action="") if room else asked, limit=1000, **order)
            found = [record for record in every.items if record.entry.action.startswith(room)]
            found = [record for record in found if record.seq > int(cursor or 0)]
            return Page(items=tuple(found[:limit]), cursor=str(found[limit - 1].seq) if len(found) > limit else None)


class TestFiltersAfterPaging(OverMemory):
    caught_by = ("test_filters_find_what_they_name_and_nothing_else",)

    class Log(MemoryAuditLog):
        async def read(self, query=None, *, cursor=None, limit=100, **order):
            page = await super().read(cursor=cursor, limit=limit, **order)
            asked = query or AuditQuery()
            found = await super().read(asked, limit=1000)
            kept = tuple(record for record in page.items if record in found.items)
            return Page(items=kept, cursor=page.cursor if kept else None)


class TestRepeatsOneAtEachPage(OverMemory):
    caught_by = ("test_pages_follow_each_other_without_gap_or_overlap",)

    class Log(MemoryAuditLog):
        async def read(self, query=None, *, cursor=None, limit=100, **order):
            before = str(int(cursor) - 1) if cursor and limit > 1 else cursor
            return await super().read(query, cursor=before, limit=limit, **order)


class TestTurnsEachPageAround(OverMemory):
    """The newest of the oldest page are not the newest."""

    caught_by = (
        "test_the_newest_come_first_when_that_is_asked",
        "test_a_record_appended_while_one_reads_from_the_end_is_not_read",
    )

    class Log(MemoryAuditLog):
        async def read(self, query=None, *, cursor=None, limit=100, newest_first=False):
            page = await super().read(query, cursor=cursor, limit=limit)
            return replace(page, items=page.items[::-1]) if newest_first else page


class TestBeginsAtTheEndAgain(OverMemory):
    """Its cursor counts from the end, which has moved."""

    caught_by = ("test_a_record_appended_while_one_reads_from_the_end_is_not_read",)

    class Log(MemoryAuditLog):
        async def read(self, query=None, *, cursor=None, limit=100, newest_first=False):
            if not newest_first:
                return await super().read(query, cursor=cursor, limit=limit)
            skipped = int(cursor or 0)
            every = (await super().read(query, limit=1000, newest_first=True)).items[skipped:]
            return Page(items=every[:limit], cursor=str(skipped + limit) if len(every) > limit else None)


class TestHasALateHead(OverMemory):
    caught_by = ("test_the_head_is_the_last_record",)

    class Log(MemoryAuditLog):
        async def head(self):
            last, self.__dict__["last"] = self.__dict__.get("last"), await super().head()
            return last or self.last


class TestCanDelete(OverMemory):
    caught_by = ("test_there_is_no_way_to_change_or_delete",)

    class Log(MemoryAuditLog):
        async def delete_before(self, seq):
            async with self.state.begin():
                for known in self._rows.records.keys():  # noqa: SIM118  # a table, not a dict
                    if known < seq:
                        self._rows.records.remove(known)


class TestIsNeverClosed(OverMemory):
    caught_by = ("test_a_closed_log_refuses",)

    class Log(MemoryAuditLog):
        def check_open(self):
            pass


class TestHoldsTheTurnOfTheCancelled(OverMemory):
    caught_by = ("test_cancelled_appends_leave_a_chain_that_holds",)

    class Log(MemoryAuditLog):
        async def append(self, entry):
            self.check_open()
            turn = self.__dict__.setdefault("turn", asyncio.Lock())
            await turn.acquire()
            await asyncio.sleep(0)
            record = await super().append(entry)
            turn.release()
            return record
