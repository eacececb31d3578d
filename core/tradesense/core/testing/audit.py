"""The contract of the audit trail."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import Any

import pytest

from tradesense.core.audit.chain import GENESIS, AuditChain, head_of
from tradesense.core.audit.models import Actor, AuditEntry, AuditQuery, AuditRecord, Outcome
from tradesense.core.audit.ports import AuditLog
from tradesense.core.capabilities import Capability
from tradesense.core.errors import AuditUnavailable
from tradesense.core.testing.base import Contract, Joined, Make, every, fresh, joined, opened, requires, together
from tradesense.core.testing.checks import (
    Calls,
    interrupt,
    refuse_when_closed,
    refuse_when_unreachable,
    rolled_back,
)
from tradesense.core.transactions import Transactions

CALLS: Calls = {
    "append": lambda log: log.append(an_entry()),
    "read": lambda log: log.read(),
    "head": lambda log: log.head(),
}
CHANGING = ("clear", "delete", "drop", "edit", "purge", "remove", "replace", "truncate", "update", "rewrite")


def an_entry(**fields: Any) -> AuditEntry:
    """An event of nobody in particular."""
    defaults: dict[str, Any] = {"action": "contract.write", "subject": fresh(), "actor": Actor(kind="user", id="u1")}
    return AuditEntry(**(defaults | fields))


class AuditLogContract(Contract):
    """What every :class:`AuditLog` must do. The log of each test begins empty: ``chain`` has a stream of its own."""

    port = AuditLog

    @pytest.fixture
    def chain(self) -> AuditChain:
        """The chain that the adapter must be given; override this where the adapter is given another."""
        return AuditChain(secrets.token_bytes(32), stream=fresh("audit"))

    @pytest.fixture
    def unreachable(self) -> Make[AuditLog] | None:
        """Override this where the backend can be away: a callable that makes an adapter of one that does not answer."""
        return None

    async def test_an_empty_log_has_the_empty_head(self, adapter: Make[AuditLog], chain: AuditChain) -> None:
        async with opened(adapter()) as log:
            assert await log.head() == chain.empty()
            page = await log.read()
            assert (page.items, page.cursor) == ((), None)

    async def test_a_record_comes_back_as_it_was_appended(self, adapter: Make[AuditLog], chain: AuditChain) -> None:
        entries = [
            an_entry(
                outcome=outcome, correlation_id=fresh(), actor=Actor(kind="operator", id="", address="2001:db8::1")
            )
            for outcome in Outcome
        ]
        entries += [
            an_entry(subject="Ünï/日本-🦄-\u2028-'\"%_\\", detail={"ключ": "Wert 🦄", "": "", "b": "2", "a": "1"})
        ]
        entries += [an_entry(subject="", action="x.y", detail={"long": "x" * 10_000})]
        async with opened(adapter()) as log:
            records = [await log.append(entry) for entry in entries]
            assert [record.entry for record in records] == entries
            assert [record.seq for record in records] == list(range(1, len(entries) + 1))
            assert records[0].previous == GENESIS
            assert all(record.at.utcoffset() == timedelta(0) for record in records)
            assert await _all(log) == records
            await _holds(log, chain)

    async def test_the_head_is_the_last_record(self, adapter: Make[AuditLog]) -> None:
        async with opened(adapter()) as log:
            for _ in range(3):
                record = await log.append(an_entry())
                assert await log.head() == head_of(record)

    async def test_nobody_changes_a_record_through_what_was_given(
        self, adapter: Make[AuditLog], chain: AuditChain
    ) -> None:
        async with opened(adapter()) as log:
            entry = an_entry(detail={"role": "user"})
            record = await log.append(entry)
            for shared in (entry, record.entry, (await log.read()).items[0].entry):
                shared.detail["role"] = "admin"
            assert (await _all(log))[0].entry.detail == {"role": "user"}
            await _holds(log, chain)

    async def test_concurrent_appends_get_consecutive_numbers(self, adapter: Make[AuditLog], chain: AuditChain) -> None:
        async with opened(adapter()) as log:
            entries = [an_entry() for _ in range(50)]
            ends = await together(50, lambda n: log.append(entries[n]))
            await self._gapless(log, chain, entries, ends)

    async def test_filters_find_what_they_name_and_nothing_else(self, adapter: Make[AuditLog]) -> None:
        actions = ["secrets.put", "secrets.get", "secretsx.put", "secrets", "Secrets.put", "se_rets.put", "config.put"]
        async with opened(adapter()) as log:
            records = [
                await log.append(an_entry(action=action, subject=subject, actor=Actor(kind="user", id=actor)))
                for action in actions
                for subject, actor in (("a/b", "u1"), ("a/b/c", "u2"), ("A/b", "U1"))
            ]
            queries = [AuditQuery(action=action) for action in (*actions, "absent.put", "%", "secrets.%", "*")]
            queries += [AuditQuery(action=f"{room}.*") for room in ("secrets", "se_rets", "config", "s%", "absent")]
            queries += [AuditQuery(subject=subject) for subject in ("a/b", "a/b/c", "a/_", "a", "%")]
            queries += [AuditQuery(actor_id=actor) for actor in ("u1", "U1", "u", "u_")]
            queries += [AuditQuery(action="secrets.*", subject="a/b", actor_id="u1"), AuditQuery()]
            queries += [AuditQuery(action="secrets.put", subject="a/b", actor_id="u2")]
            for query in queries:
                expected = [record for record in records if _matches(query, record)]
                assert await _all(log, query) == expected, query
                assert await _all(log, query, limit=2) == expected, query

    async def test_pages_follow_each_other_without_gap_or_overlap(self, adapter: Make[AuditLog]) -> None:
        async with opened(adapter()) as log:
            records = [await log.append(an_entry()) for _ in range(7)]
            for limit in (1, 3, 7, 1000):
                first = await log.read(limit=limit)
                assert list(first.items) == records[:limit]
                assert (first.cursor is None) == (limit >= 7), "there is a cursor exactly when more records follow"
                assert await _all(log, limit=limit) == records

    async def test_the_newest_come_first_when_that_is_asked(self, adapter: Make[AuditLog]) -> None:
        async with opened(adapter()) as log:
            assert (await log.read(newest_first=True)).items == ()
            records = [await log.append(an_entry(action=f"contract.{number % 2}")) for number in range(7)]
            for limit in (1, 3, 7, 1000):
                first = await log.read(limit=limit, newest_first=True)
                assert list(first.items) == records[::-1][:limit]
                assert (first.cursor is None) == (limit >= 7), "there is a cursor exactly when more records follow"
                assert await _all(log, limit=limit, newest_first=True) == records[::-1]
            odd = AuditQuery(action="contract.1")
            assert await _all(log, odd, limit=2, newest_first=True) == records[1::2][::-1]

    async def test_a_record_appended_while_one_reads_from_the_end_is_not_read(self, adapter: Make[AuditLog]) -> None:
        async with opened(adapter()) as log:
            records = [await log.append(an_entry()) for _ in range(4)]
            page = await log.read(limit=2, newest_first=True)
            await log.append(an_entry())
            rest = await every(lambda cursor: log.read(cursor=cursor or page.cursor, limit=1, newest_first=True))
            assert [*page.items, *rest] == records[::-1]

    async def test_a_record_appended_while_one_reads_comes_last(self, adapter: Make[AuditLog]) -> None:
        async with opened(adapter()) as log:
            records = [await log.append(an_entry()) for _ in range(4)]
            page = await log.read(limit=2)
            records.append(await log.append(an_entry()))
            rest = await every(lambda cursor: log.read(cursor=cursor or page.cursor, limit=2))
            assert [*page.items, *rest] == records

    async def test_there_is_no_way_to_change_or_delete(self, adapter: Make[AuditLog]) -> None:
        names = [name for name in dir(adapter()) if not name.startswith("_")]
        assert not [name for name in names if name.startswith(CHANGING)], "a record stays as it was (ASVS 16.4.2)"

    async def test_cancelled_appends_leave_a_chain_that_holds(self, adapter: Make[AuditLog], chain: AuditChain) -> None:
        async with opened(adapter()) as log:
            await interrupt(lambda: log.append(an_entry()))
            async with asyncio.timeout(self.patience):
                last = await log.append(an_entry())
            assert (await _holds(log, chain))[-1] == last

    async def test_a_closed_log_refuses(self, adapter: Make[AuditLog]) -> None:
        assert hasattr(adapter(), "__aenter__"), "an audit log is opened before it is used"
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_log_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        await refuse_when_unreachable(unreachable, AuditUnavailable, CALLS)

    @requires(Capability.PERSISTENT)
    async def test_the_chain_goes_on_after_reopening(self, adapter: Make[AuditLog], chain: AuditChain) -> None:
        async with opened(adapter()) as log:
            first = await log.append(an_entry())
        async with opened(adapter()) as log:
            second = await log.append(an_entry())
            assert await _holds(log, chain) == [first, second]

    @requires(Capability.SHARED)
    async def test_concurrent_appends_in_two_logs_get_consecutive_numbers(
        self, adapter: Make[AuditLog], chain: AuditChain
    ) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            entries = [an_entry() for _ in range(50)]
            ends = await together(50, lambda n: (one, other)[n % 2].append(entries[n]))
            await self._gapless(one, chain, entries, ends)
            assert await other.head() == await one.head()

    @requires(Capability.TRANSACTIONAL)
    async def test_a_rolled_back_record_never_was_and_its_number_is_used_again(
        self, adapter: Make[AuditLog], transactions: Joined, chain: AuditChain
    ) -> None:
        async with joined(adapter, transactions) as (log, unit):
            first = await log.append(an_entry())
            async with rolled_back(unit):
                lost = await log.append(an_entry())
                assert (await log.append(an_entry())).seq == 3
                assert (await log.head()).seq == 3, "a transaction sees what it wrote"
            assert await log.head() == head_of(first)
            assert await log.read(AuditQuery(subject=lost.entry.subject)) == await log.read(AuditQuery(subject=fresh()))
            second = await log.append(an_entry())
            assert second.seq == lost.seq
            assert await _holds(log, chain) == [first, second]

    @requires(Capability.TRANSACTIONAL)
    async def test_a_committed_transaction_keeps_its_records(
        self, adapter: Make[AuditLog], transactions: Joined, chain: AuditChain
    ) -> None:
        async with joined(adapter, transactions) as (log, unit):
            async with unit.begin():
                records = [await log.append(an_entry()) for _ in range(3)]
            assert await _holds(log, chain) == records

    @requires(Capability.TRANSACTIONAL)
    async def test_concurrent_commits_and_roll_backs_leave_no_gap(
        self, adapter: Make[AuditLog], transactions: Joined, chain: AuditChain
    ) -> None:
        async with joined(adapter, transactions) as (log, unit):
            entries = [an_entry() for _ in range(24)]
            ends = await together(24, lambda n: _write(log, unit, entries[n], lost=n % 3 == 0))
            assert ends == [None] * 24
            kept = [record.entry.subject for record in await _holds(log, chain)]
            assert sorted(kept) == sorted(entry.subject for number, entry in enumerate(entries) if number % 3)

    async def _gapless(
        self, log: AuditLog, chain: AuditChain, entries: list[AuditEntry], ends: list[AuditRecord | BaseException]
    ) -> None:
        records = [end for end in ends if isinstance(end, AuditRecord)]
        assert len(records) == len(entries), [end for end in ends if not isinstance(end, AuditRecord)]
        assert [record.entry for record in records] == entries, "each append gets the record of its own entry"
        records.sort(key=lambda record: record.seq)
        assert [record.seq for record in records] == list(range(1, len(entries) + 1))
        assert await _holds(log, chain) == records


async def _write(log: AuditLog, unit: Transactions, entry: AuditEntry, *, lost: bool) -> None:
    async with rolled_back(unit) if lost else unit.begin():
        await log.append(entry)


async def _all(
    log: AuditLog, query: AuditQuery | None = None, *, limit: int = 1000, newest_first: bool = False
) -> list[AuditRecord]:
    return await every(lambda cursor: log.read(query, cursor=cursor, limit=limit, newest_first=newest_first))


async def _holds(log: AuditLog, chain: AuditChain) -> list[AuditRecord]:
    """All records, once every link and the head have been checked."""
    head = chain.empty()
    records = await _all(log)
    for record in records:
        assert record.stream == chain.stream
        assert not chain.fault(head, record), chain.fault(head, record)
        head = head_of(record)
    assert await log.head() == head, "the head is not the last record"
    return records


def _matches(query: AuditQuery, record: AuditRecord) -> bool:
    entry = record.entry
    room = query.action.removesuffix("*") if query.action.endswith(".*") else None
    action = entry.action.startswith(room) if room else query.action in {"", entry.action}
    return action and query.subject in {"", entry.subject} and query.actor_id in {"", entry.actor.id}
