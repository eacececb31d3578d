"""What stores of flags and of segments have in common, as a contract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import msgspec
import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import DatabaseUnavailable
from tradesense.core.flags.kinds import Kind, digest_of
from tradesense.core.flags.models import Stored
from tradesense.core.flags.ports import DefinitionStore, WritableDefinitionStore
from tradesense.core.testing.base import Contract, Joined, Make, every, fresh, joined, opened, requires, together
from tradesense.core.testing.checks import (
    Calls,
    interrupt,
    refuse_when_closed,
    refuse_when_unreachable,
    rolled_back,
)

Readable = DefinitionStore[Any]
Writable = WritableDefinitionStore[Any, Any]
Stock = Callable[[Sequence[Any]], Awaitable[None]]
"""What the fixture ``stock`` returns: puts definitions where the adapter finds them, in place of those before."""

NAMES = ("", "-a", ".a", "0", "A", "B", "_a", "a", "aa", "b")
"""Ends of keys whose order a language's collation gets wrong."""


def encoded(definition: object) -> bytes:
    """For comparing: in Python, ``True``, ``1`` and ``1.0`` are equal; in JSON they are three values."""
    return msgspec.json.encode(definition, order="deterministic")


class DefinitionStoreContract(Contract):
    """What every store of flags or of segments must do.

    A read-only provider overrides ``stock``, one with a server ``unreachable``, a transactional one ``transactions``.
    """

    port = DefinitionStore
    kind: ClassVar[Kind[Any, Any]]

    @pytest.fixture
    def stock(self) -> Stock | None:
        """A read-only provider overrides it with a callable that puts definitions where the adapter finds them."""
        if Capability.WRITE not in self.capabilities:
            pytest.fail(f"{type(self).__name__} is read-only and must override the fixture `stock`", pytrace=False)
        return None

    @pytest.fixture
    def unreachable(self) -> Make[Readable] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    @staticmethod
    def define(key: str, text: str = "") -> Any:
        """A small definition. Each kind has its own."""
        raise AssertionError(f"a contract of a kind defines one for {key} and {text}")

    @staticmethod
    def rich(key: str) -> Any:
        """A definition with everything in it."""
        raise AssertionError(f"a contract of a kind defines one for {key}")

    @property
    def calls(self) -> Calls:
        """Every method of the port."""
        found: Calls = {
            "get": lambda store: store.get("a"),
            "list": lambda store: store.list(),
            "generation": lambda store: store.generation(),
        }
        if Capability.WRITE not in self.capabilities:
            return found
        return {
            **found,
            "put": lambda store: store.put(self.define("a")),
            "delete": lambda store: store.delete("a"),
            "history": lambda store: store.history("a"),
        }

    async def fill(self, store: Any, stock: Stock | None, *definitions: Any) -> None:
        """Let the store hold ``definitions``."""
        if stock is not None:
            await stock(definitions)
            return
        for definition in definitions:
            await store.put(definition)

    def of(self, stored: Stored) -> Any:
        """The definition that a revision holds."""
        return self.kind.of(stored)

    async def test_a_definition_is_kept_as_it_is(self, adapter: Make[Readable], stock: Stock | None) -> None:
        async with opened(adapter()) as store:
            wanted = self.rich(fresh())
            await self.fill(store, stock, wanted)
            found = await store.get(wanted.key)
            assert encoded(self.of(found)) == encoded(wanted)
            assert found.digest == digest_of(wanted), "the digest is that of the definition"
            assert found.updated_at.utcoffset() == timedelta(0)
            assert found.revision >= 1
            assert not found.deleted

    async def test_an_absent_definition_is_not_found(self, adapter: Make[Readable], stock: Stock | None) -> None:
        async with opened(adapter()) as store:
            await self.fill(store, stock, self.define(fresh()))
            with pytest.raises(self.kind.absent):
                await store.get(fresh())

    @pytest.mark.parametrize("limit", [1, 3, 1000])
    async def test_pages_hold_every_definition_once_by_key(
        self, adapter: Make[Readable], stock: Stock | None, limit: int
    ) -> None:
        async with opened(adapter()) as store:
            base = fresh()
            keys = [f"{base}{end}" for end in NAMES]
            await self.fill(store, stock, *(self.define(key) for key in reversed(keys)))
            found: list[str] = []
            cursor: str | None = None
            for _ in range(1000):
                page = await store.list(cursor=cursor, limit=limit)
                assert len(page.items) <= limit
                found += [self.of(stored).key for stored in page.items]
                if (cursor := page.cursor) is None:
                    break
            assert found == sorted(set(found)), "a key came twice, or out of order"
            assert [key for key in found if key.startswith(base)] == keys

    async def test_the_list_holds_what_get_gives(self, adapter: Make[Readable], stock: Stock | None) -> None:
        async with opened(adapter()) as store:
            wanted = self.rich(fresh())
            await self.fill(store, stock, self.define(fresh()), wanted)
            listed = await every(lambda cursor: store.list(cursor=cursor, limit=1000))
            assert [one for one in listed if self.of(one).key == wanted.key] == [await store.get(wanted.key)]

    async def test_another_generation_with_every_change(self, adapter: Make[Readable], stock: Stock | None) -> None:
        async with opened(adapter()) as store:
            key, seen = fresh(), [await store.generation()]
            for number in range(4):
                await self.fill(store, stock, self.define(key, f"{number}"))
                seen.append(await store.generation())
            assert await store.generation() == seen[-1], "nothing has changed since"
            assert len(set(seen)) == len(seen), "a change did not show"
            assert self.of(await store.get(key)).description == "3"

    async def test_a_closed_store_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), self.calls)

    async def test_an_unreachable_store_is_unavailable_and_nothing_is_absent(
        self, unreachable: Make[Any] | None
    ) -> None:
        await refuse_when_unreachable(unreachable, DatabaseUnavailable, self.calls)

    @requires(Capability.WRITE)
    async def test_what_is_written_is_what_is_read(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            wanted = self.rich(fresh())
            written = await store.put(wanted, by="somebody")
            assert await store.get(wanted.key) == written
            assert (written.revision, written.updated_by) == (1, "somebody")

    @requires(Capability.WRITE)
    async def test_revisions_count_from_one(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            key, before = fresh(), None
            for revision in (1, 2, 3):
                written = await store.put(self.define(key, f"{revision}"))
                assert written.revision == revision
                assert before is None or written.updated_at >= before
                before = written.updated_at
            assert await store.get(key) == written
            assert (await store.put(self.define(fresh()))).revision == 1

    @requires(Capability.WRITE)
    async def test_an_absent_definition_is_not_deleted(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            for expected in (None, 0, 1):
                with pytest.raises(self.kind.absent):
                    await store.delete(fresh(), expected=expected)

    @requires(Capability.WRITE)
    async def test_a_deleted_key_that_comes_back_goes_on_counting(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            key, seen = fresh(), list[int]()
            for _ in range(3):
                seen.append((await store.put(self.define(key), expected=0)).revision)
                await store.delete(key, expected=seen[-1])
                with pytest.raises(self.kind.absent):
                    await store.get(key)
            assert seen == [1, 3, 5], "a removal is a revision too"

    @requires(Capability.WRITE)
    async def test_a_write_that_expects_another_revision_is_a_conflict(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            for wrong in (1, 2):
                with pytest.raises(self.kind.conflict):
                    await store.put(self.define(key), expected=wrong)
            await store.put(self.define(key, "old"), expected=0)
            current = await store.put(self.define(key, "current"), expected=1)
            for wrong in (0, 1, 3, 100):
                with pytest.raises(self.kind.conflict):
                    await store.put(self.define(key, "never"), expected=wrong)
                with pytest.raises(self.kind.conflict):
                    await store.delete(key, expected=wrong)
            assert await store.get(key) == current
            await store.delete(key, expected=2)
            with pytest.raises(self.kind.conflict):
                await store.put(self.define(key, "never"), expected=2)

    @requires(Capability.WRITE)
    @pytest.mark.parametrize("expected", [0, 1], ids=["absent", "present"])
    async def test_of_many_writes_that_expect_one_revision_one_wins(
        self, adapter: Make[Writable], expected: int
    ) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            if expected:
                await store.put(self.define(key))
            ended = await together(50, lambda number: store.put(self.define(key, f"{number}"), expected=expected))
            winners = [end for end in ended if isinstance(end, Stored)]
            assert len(winners) == 1
            assert {type(end) for end in ended} == {self.kind.stored, self.kind.conflict}
            assert winners == [await store.get(key)]
            assert winners[0].revision == expected + 1

    @requires(Capability.WRITE)
    async def test_of_many_deletions_one_finds_it(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            await store.put(self.define(key))
            ended = await together(20, lambda _: store.delete(key))
            assert ended.count(None) == 1
            assert {type(end) for end in ended if end is not None} == {self.kind.absent}

    @requires(Capability.WRITE)
    async def test_many_writes_at_once_get_a_revision_each(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            ended = await together(20, lambda number: store.put(self.define(key, f"{number}")))
            written = sorted((end for end in ended if isinstance(end, Stored)), key=lambda one: one.revision)
            assert [one.revision for one in written] == list(range(1, 21)), ended
            assert await store.get(key) == written[-1]
            assert list(await store.history(key)) == written

    @requires(Capability.WRITE)
    async def test_a_history_holds_every_revision_and_who_made_it(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            first = await store.put(self.define(key, "one"), by="ann")
            second = await store.put(self.rich(key), by="bob")
            await store.delete(key, by="eve")
            last = await store.put(self.define(key, "back"))
            history = list(await store.history(key))
            assert [history[0], history[1], history[3]] == [first, second, last]
            removal = history[2]
            assert (removal.revision, removal.deleted) == (3, True)
            assert [one.updated_by for one in history] == ["ann", "bob", "eve", ""]
            assert encoded(self.of(removal)) == encoded(self.rich(key)), "the definition that was removed"
            assert [one.digest for one in history] == [digest_of(self.of(one)) for one in history]
            assert list(await store.history(fresh())) == []

    @requires(Capability.WRITE)
    async def test_a_refused_write_leaves_no_revision(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            written = await store.put(self.define(key))
            generation = await store.generation()
            with pytest.raises(self.kind.conflict):
                await store.put(self.define(key, "never"), expected=7)
            with pytest.raises(self.kind.conflict):
                await store.delete(key, expected=7)
            assert list(await store.history(key)) == [written]
            assert await store.generation() == generation

    @requires(Capability.WRITE)
    async def test_the_generation_grows_with_every_change(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            key, seen = fresh(), [await store.generation()]
            for text in ("0", "1", "2", "2"):
                await store.put(self.define(key, text))
                seen.append(await store.generation())
            await store.delete(key)
            seen.append(await store.generation())
            await store.put(self.define(fresh()))
            seen.append(await store.generation())
            await store.put(self.define(key))
            seen.append(await store.generation())
            assert seen == sorted(set(seen)), "a change did not show"

    @requires(Capability.WRITE)
    async def test_a_cancelled_call_leaves_it_usable(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            await interrupt(lambda: store.put(self.define(key, "cancelled")))
            await interrupt(store.list)
            written = await store.put(self.define(key, "done"))
            await interrupt(lambda: store.get(key))
            assert await together(20, lambda _: store.get(key), seconds=self.patience) == [written] * 20

    @requires(Capability.SHARED)
    async def test_two_adapters_see_the_same(self, adapter: Make[Readable], stock: Stock | None) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            generation, wanted = await two.generation(), self.rich(fresh())
            await self.fill(one, stock, wanted)
            assert await two.get(wanted.key) == await one.get(wanted.key)
            assert await two.generation() == await one.generation() != generation

    @requires(Capability.WRITE, Capability.SHARED)
    async def test_two_adapters_see_each_others_changes(self, adapter: Make[Writable]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            key = fresh()
            generation = await two.generation()
            written = await one.put(self.define(key))
            assert await two.get(key) == written
            assert await two.generation() > generation
            await two.delete(key)
            with pytest.raises(self.kind.absent):
                await one.get(key)

    @requires(Capability.PERSISTENT)
    async def test_what_is_there_outlives_the_adapter(self, adapter: Make[Readable], stock: Stock | None) -> None:
        wanted = self.rich(fresh())
        async with opened(adapter()) as store:
            await self.fill(store, stock, wanted)
            written = await store.get(wanted.key)
        async with opened(adapter()) as store:
            assert await store.get(wanted.key) == written

    @requires(Capability.WRITE, Capability.TRANSACTIONAL)
    async def test_a_rolled_back_transaction_leaves_nothing(
        self, adapter: Make[Writable], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            new, kept = fresh(), await store.put(self.define(fresh()))
            key = self.of(kept).key
            async with rolled_back(unit):
                await store.put(self.define(new))
                await store.delete(key)
                assert (await store.get(new)).revision == 1
            with pytest.raises(self.kind.absent):
                await store.get(new)
            assert await store.get(key) == kept
            assert list(await store.history(key)) == [kept]
            assert list(await store.history(new)) == []
            assert (await store.put(self.define(new), expected=0)).revision == 1

    @requires(Capability.WRITE, Capability.TRANSACTIONAL)
    async def test_a_committed_transaction_leaves_everything(
        self, adapter: Make[Writable], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            generation = await store.generation()
            async with unit.begin():
                written = [await store.put(self.define(fresh())) for _ in range(2)]
            assert [await store.get(self.of(one).key) for one in written] == written
            assert await store.generation() > generation
