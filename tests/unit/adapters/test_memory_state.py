"""What the memory stores share: one transaction at a time, seen by its own task alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from tradesense.adapters.memory import _state
from tradesense.adapters.memory._state import MemoryState, SortedTable, Table
from tradesense.adapters.memory.audit import MemoryAuditLog
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.audit.chain import AuditChain
from tradesense.core.audit.models import WORKER, AuditEntry
from tradesense.core.errors import AdapterClosed, DatabaseUnavailable, InvalidInput, SecretNotFound
from tradesense.core.sensitive import Secret


@asynccontextmanager
async def abandoned(state: MemoryState, error: type[BaseException] = ValueError) -> AsyncGenerator[None]:
    """A transaction that an exception ends."""
    with suppress(error):
        async with state.begin():
            yield
            raise error


ENTRY = AuditEntry(action="secrets.put", subject="a", actor=WORKER)


def keys(table: SortedTable[str, int], start: str = "", *, after: bool = False) -> list[str]:
    return [key for key, _ in table.scan(start, after=after)]


async def test_a_transaction_sees_its_own_writes_and_nobody_else_does():
    state = MemoryState()
    table: SortedTable[str, int] = SortedTable(state)
    async with state.begin():
        for key in ("b", "d", "f"):
            table.put(key, 1)
    async with state.begin():
        table.put("a", 2)
        table.put("e", 2)
        table.put("f", 2)
        table.remove("b")
        assert keys(table) == ["a", "d", "e", "f"]
        assert keys(table, "d", after=True) == ["e", "f"]
        assert (table.get("f"), table.get("b")) == (2, None)

        async def elsewhere() -> tuple[list[str], int | None]:
            return keys(table), table.get("f")

        assert await asyncio.create_task(elsewhere()) == (["b", "d", "f"], 1)
    assert await asyncio.create_task(elsewhere()) == (["a", "d", "e", "f"], 2)


@pytest.mark.parametrize("leave", [ValueError, asyncio.CancelledError])
async def test_a_transaction_that_is_left_by_an_exception_leaves_nothing(leave: type[BaseException]):
    state = MemoryState()
    table: Table[str, int] = Table(state)
    async with abandoned(state, leave):
        table.put("a", 1)
    assert table.get("a") is None
    async with state.begin():
        table.put("a", 2)
    assert table.get("a") == 2


async def test_an_inner_transaction_joins_the_outer_one():
    state = MemoryState()
    table: Table[str, int] = Table(state)
    async with abandoned(state), state.begin():
        table.put("a", 1)
    assert table.get("a") is None


async def test_a_task_started_inside_a_transaction_does_not_join_it():
    state = MemoryState()
    async with MemorySecretStore(state, clock=SystemClock()) as store:
        async with abandoned(state):
            await store.put("parent", Secret("x"))
            child = asyncio.create_task(store.put("child", Secret("y")))
        await child
        assert (await store.list()).items == ("child",)


async def test_a_transaction_that_waits_for_another_ends_with_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_state, "TURN_SECONDS", 0.01)
    state = MemoryState()
    async with MemorySecretStore(state, clock=SystemClock()) as store, state.begin():
        with pytest.raises(DatabaseUnavailable):
            await asyncio.create_task(store.put("never", Secret("x")))
    async with state.begin():
        pass


async def test_tables_are_written_inside_a_transaction_only():
    with pytest.raises(RuntimeError):
        Table[str, int](MemoryState()).put("a", 1)


async def test_transactions_can_begin_while_they_are_open_only():
    unit = MemoryTransactions(MemoryState())
    with pytest.raises(AdapterClosed):
        unit.begin()


async def test_a_rolled_back_audit_row_gives_its_number_back():
    state = MemoryState()
    chain = AuditChain(bytes(32))
    async with MemoryAuditLog(state, chain=chain, clock=SystemClock()) as log:
        await log.append(ENTRY)
        async with abandoned(state):
            assert (await log.append(ENTRY)).seq == 2
            assert (await log.head()).seq == 2
        assert (await log.append(ENTRY)).seq == 2
        records = (await log.read()).items
        assert [record.seq for record in records] == [1, 2]
        assert chain.fault(chain.empty(), records[0]) == ""


async def test_an_audit_record_cannot_be_changed_by_who_reads_it():
    state = MemoryState()
    async with MemoryAuditLog(state, chain=AuditChain(bytes(32)), clock=SystemClock()) as log:
        (await log.append(ENTRY)).entry.detail["forged"] = "yes"
        record = (await log.read()).items[0]
        record.entry.detail["forged"] = "yes"
        assert (await log.read()).items[0].entry.detail == {}


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "\u0661"])
async def test_a_forged_audit_cursor_is_refused(cursor: str):
    async with MemoryAuditLog(MemoryState(), chain=AuditChain(bytes(32)), clock=SystemClock()) as log:
        with pytest.raises(InvalidInput):
            await log.read(cursor=cursor)


async def test_an_unavailable_state_is_an_unavailable_trail(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_state, "TURN_SECONDS", 0.01)
    state = MemoryState()
    async with MemoryAuditLog(state, chain=AuditChain(bytes(32)), clock=SystemClock()) as log, state.begin():
        with pytest.raises(Exception, match="another transaction") as caught:
            await asyncio.create_task(log.append(ENTRY))
    assert type(caught.value).__name__ == "AuditUnavailable"


class Frozen:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


async def test_a_new_value_drops_the_pending_one_and_numbers_are_never_used_twice():
    async with MemorySecretStore(MemoryState(), clock=Frozen()) as store:
        assert await store.put("a", Secret("one")) == 1
        assert await store.stage("a", Secret("two")) == 2
        assert await store.put("a", Secret("three")) == 3
        with pytest.raises(SecretNotFound):
            await store.get_version("a", 2)
        await store.delete("a")
        assert await store.put("a", Secret("four")) == 4
        assert [(one.version, one.current) for one in await store.versions("a")] == [(1, False), (3, False), (4, True)]


async def test_old_versions_of_a_secret_are_dropped_and_the_current_one_never():
    async with MemorySecretStore(MemoryState(), clock=Frozen()) as store:
        for number in range(1, 151):
            await store.put("a", Secret(str(number)))
        assert [one.version for one in await store.versions("a")] == list(range(51, 151))
        for number in range(151, 301):
            await store.stage("a", Secret(str(number)))
        assert (await store.get("a")).version == 150
        assert len(await store.versions("a")) == 101  # the pending one stands beside them
        await store.promote("a", 300)
        await store.stage("a", Secret("next"))
        assert (await store.get("a")).version == 300
