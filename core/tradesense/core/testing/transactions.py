"""The contract of transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tradesense.core.audit.models import Actor, AuditEntry, AuditQuery
from tradesense.core.audit.ports import AuditLog
from tradesense.core.errors import AdapterClosed, DatabaseUnavailable
from tradesense.core.testing.base import Contract, Make, every, fresh, opened, together
from tradesense.core.testing.checks import refuse_when_unreachable, rolled_back
from tradesense.core.transactions import Transactions

Log = Callable[[Any], AuditLog]


class TransactionsContract(Contract):
    """What every :class:`Transactions` must do, seen through an audit log that joins it."""

    port = Transactions

    @pytest.fixture
    def log(self) -> Log:
        """Override this: return a callable that takes the adapter and makes an unopened AuditLog that joins it.

        The log of each test begins empty.
        """
        pytest.fail(
            f"{type(self).__name__} must override the fixture `log`: return a callable that takes the Transactions "
            "and makes an unopened AuditLog that joins it",
            pytrace=False,
        )

    @pytest.fixture
    def unreachable(self) -> Make[Transactions] | None:
        """Override this where the backend can be away: a callable that makes an adapter of one that does not answer."""
        return None

    async def test_leaving_normally_commits(self, adapter: Make[Transactions], log: Log) -> None:
        unit = adapter()
        async with opened(unit), opened(log(unit)) as trail:
            async with unit.begin():
                await _append(trail, "one")
                await _append(trail, "two")
                assert await _subjects(trail) == ["one", "two"], "a transaction sees what it wrote"
            assert await _subjects(trail) == ["one", "two"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
    async def test_leaving_by_an_exception_rolls_all_back(
        self, adapter: Make[Transactions], log: Log, error: type[BaseException]
    ) -> None:
        unit = adapter()
        async with opened(unit), opened(log(unit)) as trail:
            await _append(trail, "before")
            raised: BaseException | None = None
            try:
                async with unit.begin():
                    await _append(trail, "one")
                    await _append(trail, "two")
                    _raise(error)
            except BaseException as caught:  # noqa: BLE001  # whatever it was, it is compared on the next line
                raised = caught
            assert type(raised) is error, "the exception that ends a transaction goes on as it was"
            assert await _subjects(trail) == ["before"]
            await _append(trail, "after")
            assert await _subjects(trail) == ["before", "after"]

    async def test_a_cancelled_task_rolls_all_back(self, adapter: Make[Transactions], log: Log) -> None:
        unit = adapter()
        async with opened(unit), opened(log(unit)) as trail:
            written = asyncio.Event()

            async def never_ends() -> None:
                async with unit.begin():
                    await _append(trail, "lost")
                    written.set()
                    await asyncio.Event().wait()

            task = asyncio.ensure_future(never_ends())
            async with asyncio.timeout(self.patience):
                await written.wait()
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
                assert await _subjects(trail) == []
                await _append(trail, "after")
            assert await _subjects(trail) == ["after"]

    async def test_a_transaction_inside_another_joins_it(self, adapter: Make[Transactions], log: Log) -> None:
        unit = adapter()
        async with opened(unit), opened(log(unit)) as trail:
            async with rolled_back(unit):
                async with unit.begin(), unit.begin():
                    await _append(trail, "inner")
                await _append(trail, "outer")
            assert await _subjects(trail) == [], "only the outermost transaction commits"
            async with unit.begin():
                async with unit.begin():
                    await _append(trail, "inner")
                await _append(trail, "outer")
            assert await _subjects(trail) == ["inner", "outer"]

    async def test_an_exception_inside_two_rolls_both_back(self, adapter: Make[Transactions], log: Log) -> None:
        unit = adapter()
        async with opened(unit), opened(log(unit)) as trail:
            async with rolled_back(unit):
                await _append(trail, "outer")
                async with rolled_back(unit):
                    await _append(trail, "inner")
            assert await _subjects(trail) == []

    async def test_without_a_transaction_each_call_commits(self, adapter: Make[Transactions], log: Log) -> None:
        unit = adapter()
        async with opened(unit), opened(log(unit)) as trail:
            await _append(trail, "alone")
            async with rolled_back(unit):
                await _append(trail, "lost")
            assert await _subjects(trail) == ["alone"]

    async def test_a_task_started_inside_does_not_join(self, adapter: Make[Transactions], log: Log) -> None:
        unit = adapter()
        async with opened(unit), opened(log(unit)) as trail:
            async with rolled_back(unit):
                await _append(trail, "parent")
                child = asyncio.ensure_future(_append(trail, "child"))
                # The child may have to wait for our end, so we give it turns, and do not wait for it.
                for _ in range(20):
                    await asyncio.sleep(0)
            async with asyncio.timeout(self.patience):
                await child
            assert await _subjects(trail) == ["child"], "a task's work is its own, whoever started it"

    async def test_a_task_that_outlives_the_transaction_works_on(self, adapter: Make[Transactions], log: Log) -> None:
        unit = adapter()
        async with opened(unit), opened(log(unit)) as trail:
            over = asyncio.Event()

            async def later() -> None:
                await over.wait()
                async with unit.begin():
                    await _append(trail, "later")

            async with unit.begin():
                await _append(trail, "parent")
                child = asyncio.ensure_future(later())
                await asyncio.sleep(0)
            over.set()
            async with asyncio.timeout(self.patience):
                await child
            assert await _subjects(trail) == ["parent", "later"]

    async def test_concurrent_transactions_are_each_whole(self, adapter: Make[Transactions], log: Log) -> None:
        unit = adapter()
        async with opened(unit), opened(log(unit)) as trail:

            async def pair(number: int) -> None:
                async with unit.begin():
                    await _append(trail, f"{number}")
                    await asyncio.sleep(0)
                    await _append(trail, f"{number}")
                    if number % 3 == 0:
                        raise ValueError(number)

            ends = await together(15, pair)
            assert [type(end) for end in ends] == [ValueError if n % 3 == 0 else type(None) for n in range(15)]
            subjects = await _subjects(trail)
            assert sorted(subjects) == sorted(f"{n}" for n in range(15) if n % 3 for _ in range(2))

    async def test_after_a_commit_what_asked_for_it_is_called_once(self, adapter: Make[Transactions], log: Log) -> None:
        unit, calls = adapter(), list[str]()
        async with opened(unit), opened(log(unit)) as trail:
            unit.after_commit(lambda: calls.append("alone"))
            assert calls == ["alone"], "outside any transaction it is called at once"
            async with unit.begin():
                await _append(trail, "one")
                unit.after_commit(lambda: calls.append("outer"))
                async with unit.begin():
                    unit.after_commit(lambda: calls.append("inner"))
                assert calls == ["alone"], "the outermost transaction commits"
            assert calls == ["alone", "outer", "inner"]
            async with unit.begin():
                await _append(trail, "two")
            assert calls == ["alone", "outer", "inner"]

    async def test_after_a_roll_back_nothing_is_called(self, adapter: Make[Transactions], log: Log) -> None:
        unit, calls = adapter(), list[str]()
        async with opened(unit), opened(log(unit)) as trail:
            async with rolled_back(unit):
                await _append(trail, "lost")
                unit.after_commit(lambda: calls.append("lost"))
            async with unit.begin():
                await _append(trail, "kept")
            assert calls == []

    async def test_an_unreachable_database_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        await refuse_when_unreachable(unreachable, DatabaseUnavailable, {"begin": _begin})

    async def test_closed_transactions_refuse(self, adapter: Make[Transactions]) -> None:
        unit = adapter()
        if not hasattr(unit, "__aenter__"):
            pytest.skip("the adapter has nothing to open")
        with pytest.raises(AdapterClosed):
            await _begin(unit)
        async with opened(unit):
            await _begin(unit)
        with pytest.raises(AdapterClosed):
            await _begin(unit)


def _raise(error: type[BaseException]) -> None:
    raise error


async def _begin(unit: Transactions) -> None:
    async with unit.begin():
        pass


async def _append(trail: AuditLog, subject: str) -> None:
    entry = AuditEntry(action="contract.write", subject=subject, actor=Actor(kind="worker"), correlation_id=fresh())
    await trail.append(entry)


async def _subjects(trail: AuditLog) -> list[str]:
    records = await every(lambda cursor: trail.read(AuditQuery(action="contract.write"), cursor=cursor, limit=1000))
    return [record.entry.subject for record in records]
