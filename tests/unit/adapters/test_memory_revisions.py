"""Flags and runtime settings in memory: revisions, and values that nobody can change from outside."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.config import MemorySettingsStore
from tradesense.adapters.memory.flags import MemoryFlagStore
from tradesense.core.errors import FlagConflict, FlagNotFound, SettingConflict, SettingNotFound
from tradesense.core.flags.models import Flag
from tradesense.core.testing.checks import ManualClock


def flag(key: str, value: object = "yes") -> Flag:
    return Flag(key=key, variants={"on": value}, default_variant="on")


async def test_a_flag_that_comes_back_goes_on_counting_and_each_change_is_a_generation():
    async with MemoryFlagStore(MemoryState(), clock=ManualClock()) as store:
        assert await store.generation() == 0
        assert (await store.put(flag("a"), expected=0)).revision == 1
        for wrong in (0, 2):
            with pytest.raises(FlagConflict):
                await store.put(flag("a"), expected=wrong)
            with pytest.raises(FlagConflict):
                await store.delete("a", expected=wrong)
        await store.delete("a", expected=1)
        for call in (store.get("a"), store.delete("a")):
            with pytest.raises(FlagNotFound):
                await call
        assert (await store.put(flag("a"), expected=0)).revision == 3
        assert await store.generation() == 3


async def test_a_flag_is_not_changed_through_what_was_given_or_got():
    async with MemoryFlagStore(MemoryState(), clock=ManualClock()) as store:
        given = flag("a", {"deep": [1]})
        got = (await store.put(given), await store.get("a"), *(await store.list()).items)
        for one in (given, *(stored.flag for stored in got)):
            one.variants["on"]["deep"].append(2)
        assert (await store.get("a")).flag.variants == {"on": {"deep": [1]}}


async def test_flags_are_paged_by_key():
    async with MemoryFlagStore(MemoryState(), clock=ManualClock()) as store:
        for key in ("b", "a", "c"):
            await store.put(flag(key))
        first = await store.list(limit=2)
        rest = await store.list(cursor=first.cursor, limit=2)
        assert [one.flag.key for one in (*first.items, *rest.items)] == ["a", "b", "c"]
        assert rest.cursor is None


async def test_of_concurrent_writes_with_one_expectation_one_wins():
    async with MemorySettingsStore(MemoryState(), clock=ManualClock()) as store:
        ends = await asyncio.gather(*(store.put("a", n, expected=0) for n in range(20)), return_exceptions=True)
        assert sum(isinstance(end, SettingConflict) for end in ends) == 19
        assert (await store.get("a")).revision == 1


async def test_a_history_holds_every_revision_and_removal():
    async with MemorySettingsStore(MemoryState(), clock=ManualClock()) as store:
        await store.put("a", {"x": [1]}, public=True, by="me")
        await store.put("a", None, expected=1)
        with pytest.raises(SettingConflict):
            await store.delete("a", expected=1)
        await store.delete("a", by="you")
        with pytest.raises(SettingNotFound):
            await store.get("a")
        assert (await store.put("a", 2**70, expected=0)).revision == 4
        history = await store.history("a")
        assert [(one.revision, one.value, one.deleted, one.updated_by) for one in history] == [
            (1, {"x": [1]}, False, "me"),
            (2, None, False, ""),
            (3, None, True, "you"),
            (4, 2**70, False, ""),
        ]
        history[0].value["x"].append(2)
        assert (await store.history("a"))[0].value == {"x": [1]}
        assert await store.history("never") == ()


async def test_settings_are_paged_under_their_prefix():
    async with MemorySettingsStore(MemoryState(), clock=ManualClock()) as store:
        for key in ("ui.b", "ui.a", "ui2", "api.a", "ui.c"):
            await store.put(key, 1)
        first = await store.list("ui.", limit=2)
        rest = await store.list("ui.", cursor=first.cursor, limit=2)
        assert [one.key for one in (*first.items, *rest.items)] == ["ui.a", "ui.b", "ui.c"]


async def test_a_rolled_back_change_leaves_no_revision():
    state = MemoryState()
    async with (
        MemorySettingsStore(state, clock=ManualClock()) as settings,
        MemoryFlagStore(state, clock=ManualClock()) as flags,
    ):
        with suppress(ValueError):
            async with state.begin():
                await settings.put("a", 1)
                await flags.put(flag("a"))
                raise ValueError
        assert await settings.history("a") == ()
        assert await flags.generation() == 0
        assert (await flags.put(flag("a"))).revision == 1
