"""The contract of :class:`FlagStore`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import DatabaseUnavailable, FlagConflict, FlagNotFound
from tradesense.core.flags.models import Condition, Flag, FlagValue, Rule, Share, StoredFlag
from tradesense.core.flags.ports import FlagStore
from tradesense.core.testing.base import Contract, Joined, Make, every, fresh, joined, opened, requires, together
from tradesense.core.testing.checks import (
    Calls,
    interrupt,
    refuse_when_closed,
    refuse_when_unreachable,
    rolled_back,
)

UNICODE = "Zürich ☃ 漢字 𝄞 \r\n\t\x00 \"'\\ e\u0301"
VALUES: dict[str, tuple[FlagValue, FlagValue]] = {
    "booleans": (True, False),
    "integers": (1, -(2**53) - 1),
    "floats": (1.0, 1e-7),
    "texts": ("", UNICODE),
    "objects": ({"z": 1, "a": {"b": [1, 1.0, True, None, "é", {}]}}, None),
    "lists": ([], [[[]], "x", 0, False]),
}
RULES = (
    Rule(
        conditions=(
            Condition(attribute="plan", operator="in", values=("pro", 1, 2.5, True, False, UNICODE)),
            Condition(attribute="age", operator="less", values=(1e-7,)),
            Condition(attribute="mail", operator="ends_with", values=("@example.org",)),
        ),
        variant="b",
    ),
    Rule(shares=(Share(variant="a", percent=33.333), Share(variant="b", percent=0.0)), by="tenant"),
)
CALLS: Calls = {
    "get": lambda store: store.get("a"),
    "put": lambda store: store.put(_flag("a")),
    "delete": lambda store: store.delete("a"),
    "list": lambda store: store.list(),
    "generation": lambda store: store.generation(),
}


def _flag(key: str, a: FlagValue = "A", b: FlagValue = "B", rules: tuple[Rule, ...] = (), text: str = "") -> Flag:
    return Flag(key=key, variants={"a": a, "b": b}, default_variant="b", rules=rules, description=text)


def _encoded(flag: Flag) -> bytes:
    """For comparing: in Python, ``True``, ``1`` and ``1.0`` are equal; in JSON they are three values."""
    return msgspec.json.encode(flag, order="deterministic")


class FlagStoreContract(Contract):
    """What every :class:`FlagStore` must do."""

    port = FlagStore

    @pytest.fixture
    def unreachable(self) -> Make[FlagStore] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_a_flag_is_kept_as_it_is(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            flag = _flag(fresh(), "x", UNICODE, RULES, UNICODE)
            for enabled in (True, False):
                written = await store.put(msgspec.structs.replace(flag, enabled=enabled))
                found = await store.get(flag.key)
                assert found == written
                assert _encoded(found.flag) == _encoded(msgspec.structs.replace(flag, enabled=enabled))

    @pytest.mark.parametrize("kind", list(VALUES))
    async def test_values_keep_their_types(self, adapter: Make[FlagStore], kind: str) -> None:
        async with opened(adapter()) as store:
            flag = _flag(fresh(), *VALUES[kind])
            await store.put(flag)
            assert _encoded((await store.get(flag.key)).flag) == _encoded(flag)

    async def test_what_was_given_out_cannot_change_the_flag(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            inner: dict[str, Any] = {"list": [1]}
            flag = _flag(fresh(), inner, {})
            expected = _encoded(flag)
            written = await store.put(flag)
            inner["list"].append(2)
            flag.variants["c"] = None
            written.flag.variants.clear()
            (await store.get(flag.key)).flag.variants.clear()
            assert _encoded((await store.get(flag.key)).flag) == expected

    async def test_an_absent_flag_is_not_found(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            with pytest.raises(FlagNotFound):
                await store.get(fresh())
            for expected in (None, 0, 1):
                with pytest.raises(FlagNotFound):
                    await store.delete(fresh(), expected=expected)

    async def test_revisions_count_from_one(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            before = datetime.min.replace(tzinfo=UTC)
            for revision in (1, 2, 3):
                written = await store.put(_flag(key, text=f"{revision}"))
                assert written.revision == revision
                assert written.updated_at.utcoffset() == timedelta(0)
                assert written.updated_at >= before
                before = written.updated_at
            assert await store.get(key) == written
            assert (await store.put(_flag(fresh()))).revision == 1

    async def test_a_deleted_flag_that_comes_back_goes_on_counting(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            key, seen = fresh(), list[int]()
            for _ in range(3):
                seen.append((await store.put(_flag(key), expected=0)).revision)
                await store.delete(key, expected=seen[-1])
                with pytest.raises(FlagNotFound):
                    await store.get(key)
            assert seen == sorted(set(seen)), "a revision came twice"

    async def test_a_write_that_expects_another_revision_is_a_conflict(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            for wrong in (1, 2):
                with pytest.raises(FlagConflict):
                    await store.put(_flag(key), expected=wrong)
            await store.put(_flag(key, text="old"), expected=0)
            current = await store.put(_flag(key, text="current"), expected=1)
            for wrong in (0, 1, 3, 100):
                with pytest.raises(FlagConflict):
                    await store.put(_flag(key, text="never"), expected=wrong)
                with pytest.raises(FlagConflict):
                    await store.delete(key, expected=wrong)
            assert await store.get(key) == current
            await store.delete(key, expected=2)
            with pytest.raises(FlagConflict):
                await store.put(_flag(key, text="never"), expected=2)

    @pytest.mark.parametrize("expected", [0, 1], ids=["absent", "present"])
    async def test_of_many_writes_that_expect_one_revision_one_wins(
        self, adapter: Make[FlagStore], expected: int
    ) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            if expected:
                await store.put(_flag(key))
            ended = await together(50, lambda number: store.put(_flag(key, text=f"{number}"), expected=expected))
            winners = [end for end in ended if isinstance(end, StoredFlag)]
            assert len(winners) == 1
            assert {type(end) for end in ended} == {StoredFlag, FlagConflict}
            assert winners == [await store.get(key)]
            assert winners[0].revision == expected + 1

    async def test_of_many_deletions_one_finds_the_flag(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            await store.put(_flag(key))
            ended = await together(20, lambda _: store.delete(key))
            assert ended.count(None) == 1
            assert {type(end) for end in ended if end is not None} == {FlagNotFound}

    async def test_many_writes_at_once_get_a_revision_each(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            ended = await together(20, lambda number: store.put(_flag(key, text=f"{number}")))
            written = sorted((end for end in ended if isinstance(end, StoredFlag)), key=lambda one: one.revision)
            assert [one.revision for one in written] == list(range(1, 21)), ended
            assert await store.get(key) == written[-1]

    @pytest.mark.parametrize("limit", [1, 3, 1000])
    async def test_pages_hold_every_flag_once_by_key(self, adapter: Make[FlagStore], limit: int) -> None:
        async with opened(adapter()) as store:
            base = fresh()
            keys = [f"{base}{end}" for end in ("", "-a", ".a", "0", "A", "B", "_a", "a", "aa", "b")]
            for key in reversed(keys):
                await store.put(_flag(key))
            cursor, found = None, list[str]()
            while True:
                page = await store.list(cursor=cursor, limit=limit)
                assert len(page.items) <= limit
                found += [one.flag.key for one in page.items]
                if (cursor := page.cursor) is None:
                    break
            assert found == sorted(set(found))
            assert [key for key in found if key.startswith(base)] == keys

    async def test_the_list_holds_what_get_gives(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            stays, goes = fresh(), fresh()
            await store.put(_flag(goes))
            await store.put(_flag(stays))
            written = await store.put(_flag(stays, "x", UNICODE, RULES))
            await store.delete(goes)
            listed = await every(lambda cursor: store.list(cursor=cursor, limit=1000))
            assert [one for one in listed if one.flag.key in {stays, goes}] == [written]

    async def test_the_generation_grows_with_every_change(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            key, seen = fresh(), [await store.generation()]
            for number in range(3):
                await store.put(_flag(key, text=f"{number}"))
                seen.append(await store.generation())
            await store.put(_flag(key, text="2"))
            seen.append(await store.generation())
            await store.delete(key)
            seen.append(await store.generation())
            await store.put(_flag(fresh()))
            seen.append(await store.generation())
            assert seen == sorted(set(seen)), "a change did not show"

    async def test_a_cancelled_call_leaves_it_usable(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            await interrupt(lambda: store.put(_flag(key, text="cancelled")))
            await interrupt(store.list)
            written = await store.put(_flag(key, text="done"))
            await interrupt(lambda: store.get(key))
            assert await together(20, lambda _: store.get(key), seconds=self.patience) == [written] * 20

    async def test_a_closed_store_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_store_is_unavailable_and_nothing_is_absent(
        self, unreachable: Make[Any] | None
    ) -> None:
        await refuse_when_unreachable(unreachable, DatabaseUnavailable, CALLS)

    @requires(Capability.SHARED)
    async def test_two_adapters_see_each_others_changes(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            key = fresh()
            generation = await two.generation()
            written = await one.put(_flag(key))
            assert await two.get(key) == written
            assert await two.generation() > generation
            await two.delete(key)
            with pytest.raises(FlagNotFound):
                await one.get(key)

    @requires(Capability.PERSISTENT)
    async def test_what_is_written_outlives_the_adapter(self, adapter: Make[FlagStore]) -> None:
        async with opened(adapter()) as store:
            written = await store.put(_flag(fresh(), "x", UNICODE, RULES))
            generation = await store.generation()
        async with opened(adapter()) as store:
            assert await store.get(written.flag.key) == written
            assert await store.generation() >= generation

    @requires(Capability.TRANSACTIONAL)
    async def test_a_rolled_back_transaction_leaves_nothing(
        self, adapter: Make[FlagStore], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            new, kept = fresh(), await store.put(_flag(fresh()))
            async with rolled_back(unit):
                await store.put(_flag(new))
                await store.delete(kept.flag.key)
                assert (await store.get(new)).revision == 1
            with pytest.raises(FlagNotFound):
                await store.get(new)
            assert await store.get(kept.flag.key) == kept
            assert (await store.put(_flag(new), expected=0)).revision >= 1

    @requires(Capability.TRANSACTIONAL)
    async def test_a_committed_transaction_leaves_everything(
        self, adapter: Make[FlagStore], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            generation = await store.generation()
            async with unit.begin():
                written = [await store.put(_flag(fresh())) for _ in range(2)]
            assert [await store.get(one.flag.key) for one in written] == written
            assert await store.generation() > generation
