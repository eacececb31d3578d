"""The contract of ``SettingsStore``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.config.models import MAX_ENCODED, Setting
from tradesense.core.config.ports import SettingsStore
from tradesense.core.errors import DatabaseUnavailable, SettingConflict, SettingNotFound
from tradesense.core.testing.base import Contract, Joined, Make, every, fresh, joined, opened, requires, together
from tradesense.core.testing.checks import (
    Calls,
    interrupt,
    refuse_when_closed,
    refuse_when_unreachable,
    rolled_back,
)

UNICODE = "Zürich ☃ 漢字 𝄞 \r\n\t\x00 \"'\\ e\u0301"
VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "negative": -(2**53) - 1,
    "largest": 2**63 - 1,
    "float": 0.1,
    "whole float": 1.0,
    "small float": 1e-300,
    "empty text": "",
    "text": UNICODE,
    "text of a number": "1",
    "text of null": "null",
    "list": [1, 1.0, True, None, "1", [], {}],
    "object": {"z": 1, "a": {"é": [UNICODE]}, "": None},
    "long text": "x" * (MAX_ENCODED - 2),
}
CALLS: Calls = {
    "get": lambda store: store.get("a"),
    "put": lambda store: store.put("a", 1),
    "delete": lambda store: store.delete("a"),
    "list": lambda store: store.list(),
    "history": lambda store: store.history("a"),
}


def _encoded(value: Any) -> bytes:
    """For comparing: in Python, ``True``, ``1`` and ``1.0`` are equal; in JSON they are three values."""
    return msgspec.json.encode(value, order="deterministic")


class SettingsStoreContract(Contract):
    """What every :class:`SettingsStore` must do."""

    port = SettingsStore

    @pytest.fixture
    def unreachable(self) -> Make[SettingsStore] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    @pytest.mark.parametrize("value", VALUES.values(), ids=list(VALUES))
    async def test_any_json_value_comes_back_as_it_was(self, adapter: Make[SettingsStore], value: Any) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            written = await store.put(key, value)
            found = await store.get(key)
            (past,) = await store.history(key)
            (listed,) = (await store.list(key)).items
            for one in (written, found, past, listed):
                assert _encoded(one.value) == _encoded(value)

    async def test_a_setting_is_kept_with_what_is_known_of_it(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as store:
            key = f"{fresh()}.some.key"
            written = await store.put(key, {"a": 1}, public=True, by=UNICODE.replace("\x00", ""))
            assert (written.key, written.public, written.deleted) == (key, True, False)
            assert written.updated_by == UNICODE.replace("\x00", "")
            assert written.updated_at.utcoffset() == timedelta(0)
            assert await store.get(key) == written
            changed = await store.put(key, {"a": 2})
            assert (changed.public, changed.updated_by) == (False, "")
            assert changed.updated_at >= written.updated_at

    async def test_what_was_given_out_cannot_change_the_setting(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as store:
            key, value = fresh(), {"list": [1]}
            written = await store.put(key, value)
            value["list"].append(2)
            for one in (written, await store.get(key), *(await store.list(key)).items, *await store.history(key)):
                assert one.value == {"list": [1]}
                one.value["list"].append(3)
            assert (await store.get(key)).value == {"list": [1]}

    async def test_an_absent_setting_is_not_found(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as store:
            with pytest.raises(SettingNotFound):
                await store.get(fresh())
            for expected in (None, 0, 1):
                with pytest.raises(SettingNotFound):
                    await store.delete(fresh(), expected=expected)
            assert list(await store.history(fresh())) == []

    async def test_the_history_holds_every_revision(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            first = await store.put(key, "one", by="ann")
            second = await store.put(key, "two", by="bob", public=True)
            assert [first.revision, second.revision] == [1, 2]
            assert list(await store.history(key)) == [first, second]

    async def test_a_deleted_setting_that_comes_back_goes_on_counting(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            await store.put(key, "old", expected=0)
            await store.delete(key, expected=1, by="ann")
            with pytest.raises(SettingNotFound):
                await store.get(key)
            with pytest.raises(SettingNotFound):
                await store.delete(key)
            assert (await store.list(key)).items == ()
            back = await store.put(key, "new", expected=0)
            past = list(await store.history(key))
            assert [(one.revision, one.deleted) for one in past] == [(1, False), (2, True), (3, False)]
            assert past[1].updated_by == "ann"
            assert past[2] == back == await store.get(key)

    async def test_a_write_that_expects_another_revision_is_a_conflict(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            for wrong in (1, 2):
                with pytest.raises(SettingConflict):
                    await store.put(key, "never", expected=wrong)
            assert list(await store.history(key)) == []
            await store.put(key, "old", expected=0)
            current = await store.put(key, "current", expected=1)
            for wrong in (0, 1, 3, 100):
                with pytest.raises(SettingConflict):
                    await store.put(key, "never", expected=wrong)
                with pytest.raises(SettingConflict):
                    await store.delete(key, expected=wrong)
            assert await store.get(key) == current
            assert len(await store.history(key)) == 2
            await store.delete(key)
            with pytest.raises(SettingConflict):
                await store.put(key, "never", expected=2)

    @pytest.mark.parametrize("expected", [0, 1], ids=["absent", "present"])
    async def test_of_many_writes_that_expect_one_revision_one_wins(
        self, adapter: Make[SettingsStore], expected: int
    ) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            if expected:
                await store.put(key, "before")
            ended = await together(50, lambda number: store.put(key, number, expected=expected))
            winners = [end for end in ended if isinstance(end, Setting)]
            assert len(winners) == 1
            assert {type(end) for end in ended} == {Setting, SettingConflict}
            assert winners == [await store.get(key)]
            assert [one.revision for one in await store.history(key)] == list(range(1, expected + 2))

    async def test_many_writes_at_once_get_a_revision_each(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            ended = await together(20, lambda number: store.put(key, number))
            written = sorted((end for end in ended if isinstance(end, Setting)), key=lambda one: one.revision)
            assert [one.revision for one in written] == list(range(1, 21)), ended
            assert list(await store.history(key)) == written
            assert await store.get(key) == written[-1]

    @pytest.mark.parametrize("limit", [1, 3, 1000])
    async def test_pages_hold_every_setting_under_the_prefix_once_by_key(
        self, adapter: Make[SettingsStore], limit: int
    ) -> None:
        async with opened(adapter()) as store:
            base = fresh()
            keys = [f"{base}{end}" for end in ("", "-a", ".a", ".a.b", ".b", "0", "_a", "a")]
            for key in reversed(keys):
                await store.put(key, key)
            for other in (base[:-1], f"x{base}", base.replace("-", "_")):
                await store.put(other, "other")
            for prefix in (base, f"{base}.", f"{base}.a.", f"{base}_", fresh()):
                cursor, found = None, list[str]()
                while True:
                    page = await store.list(prefix, cursor=cursor, limit=limit)
                    assert len(page.items) <= limit
                    found += [one.key for one in page.items]
                    if (cursor := page.cursor) is None:
                        break
                assert found == [key for key in keys if key.startswith(prefix)]
            everything = [one.key for one in await every(lambda cursor: store.list(cursor=cursor, limit=1000))]
            assert everything == sorted(set(everything))
            assert set(keys) <= set(everything)

    async def test_the_list_holds_what_get_gives(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as store:
            base = fresh()
            await store.put(f"{base}.a", "old")
            written = await store.put(f"{base}.a", "new", public=True, by="ann")
            assert (await store.list(base)).items == (written,)

    async def test_a_cancelled_call_leaves_it_usable(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            await interrupt(lambda: store.put(key, "cancelled"))
            await interrupt(lambda: store.list(key))
            written = await store.put(key, "done")
            await interrupt(lambda: store.get(key))
            assert await together(20, lambda _: store.get(key), seconds=self.patience) == [written] * 20
            revisions = [one.revision for one in await store.history(key)]
            assert revisions == list(range(1, written.revision + 1)), "a revision is missing"

    async def test_a_closed_store_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_store_is_unavailable_and_nothing_is_absent(
        self, unreachable: Make[Any] | None
    ) -> None:
        await refuse_when_unreachable(unreachable, DatabaseUnavailable, CALLS)

    @requires(Capability.SHARED)
    async def test_two_adapters_see_each_others_changes(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            key = fresh()
            written = await one.put(key, "by one")
            assert await two.get(key) == written
            await two.delete(key)
            with pytest.raises(SettingNotFound):
                await one.get(key)
            assert [past.revision for past in await one.history(key)] == [1, 2]

    @requires(Capability.PERSISTENT)
    async def test_what_is_written_outlives_the_adapter(self, adapter: Make[SettingsStore]) -> None:
        async with opened(adapter()) as store:
            written = await store.put(fresh(), {"a": [UNICODE]})
        async with opened(adapter()) as store:
            assert await store.get(written.key) == written

    @requires(Capability.TRANSACTIONAL)
    async def test_a_rolled_back_transaction_leaves_nothing(
        self, adapter: Make[SettingsStore], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            new, kept = fresh(), await store.put(fresh(), "kept")
            async with rolled_back(unit):
                await store.put(new, "never")
                await store.delete(kept.key)
                assert (await store.get(new)).value == "never"
            with pytest.raises(SettingNotFound):
                await store.get(new)
            assert list(await store.history(new)) == []
            assert await store.get(kept.key) == kept
            assert list(await store.history(kept.key)) == [kept]

    @requires(Capability.TRANSACTIONAL)
    async def test_a_committed_transaction_leaves_everything(
        self, adapter: Make[SettingsStore], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            async with unit.begin():
                written = [await store.put(fresh(), number) for number in range(2)]
            assert [await store.get(one.key) for one in written] == written
