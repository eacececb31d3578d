"""A process evaluates by fresh definitions, and by the last known ones where the store is slow or away."""

from __future__ import annotations

import asyncio

import pytest

import contracted
from tradesense.core.errors import DatabaseUnavailable
from tradesense.core.flags import Flag, FlagStore
from tradesense.core.flags.definitions import Definitions
from tradesense.core.flags.stores import Stores
from tradesense.core.flags.toolkit import EPOCH
from tradesense.core.paging import Page
from tradesense.core.testing.checks import ManualClock


def flag(value: str) -> Flag:
    return Flag(key="colour", variants={"it": value}, default_variant="it")


class Gate:
    """A store whose reading can be held up, or fail, where a test wants it."""

    def __init__(self, store):
        self._store = store
        self.open = asyncio.Event()
        self.open.set()
        self.begun = asyncio.Event()
        self.away = False
        self.asked = 0

    async def generation(self):
        self.asked += 1
        self.begun.set()
        if self.away:
            raise DatabaseUnavailable("away")
        return await self._store.generation()

    async def list(self, **page):
        found = await self._store.list(**page)
        await self.open.wait()
        return found


@pytest.fixture
async def store():
    async with contracted.build(contracted.manifest("memory", FlagStore), contracted.context()) as opened:
        yield opened


class NoSegments:
    """There are none."""

    async def list(self, **page):
        del page
        return Page(items=())


def over(store) -> Stores:
    return Stores(flags=store, segments=NoSegments())


@pytest.fixture
def clock():
    return ManualClock()


async def served(definitions: Definitions) -> object:
    return (await definitions.current()).evaluate("colour", {}).value


async def test_a_change_made_elsewhere_is_seen_once_the_definitions_are_old(store, clock):
    await store.put(flag("red"))
    definitions = Definitions(stores=over(store), clock=clock, refresh=1.0, toolkit=EPOCH)
    assert await served(definitions) == "red"
    await store.put(flag("blue"))
    assert await served(definitions) == "red"
    clock.advance(1.0)
    assert await served(definitions) == "blue"


async def test_a_reading_under_way_does_not_hide_a_change_made_here(store, clock):
    await store.put(flag("red"))
    gate = Gate(store)
    definitions = Definitions(stores=over(gate), clock=clock, refresh=1.0, toolkit=EPOCH)
    gate.open.clear()
    slow = asyncio.create_task(definitions.current())
    await gate.begun.wait()
    await store.put(flag("blue"))
    definitions.changed()
    gate.open.set()
    await slow
    assert await served(definitions) == "blue"


async def test_a_store_that_hangs_costs_the_callers_little_and_the_last_known_go_on(store, clock):
    await store.put(flag("red"))
    gate = Gate(store)
    definitions = Definitions(stores=over(gate), clock=clock, refresh=1.0, toolkit=EPOCH)
    await definitions.current()
    await store.put(flag("blue"))
    gate.open.clear()
    clock.advance(1.0)
    assert await served(definitions) == "red"
    clock.advance(1.0)  # the reading is still under way: nobody waits for it again
    assert await asyncio.wait_for(served(definitions), 0.1) == "red"
    gate.open.set()
    await definitions._reading
    assert await served(definitions) == "blue"


async def test_without_any_definitions_an_absent_store_is_an_error_and_later_the_last_known_go_on(store, clock):
    await store.put(flag("red"))
    gate = Gate(store)
    gate.away = True
    definitions = Definitions(stores=over(gate), clock=clock, refresh=1.0, toolkit=EPOCH)
    with pytest.raises(DatabaseUnavailable):
        await definitions.current()
    gate.away = False
    assert await served(definitions) == "red"
    gate.away = True
    clock.advance(5.0)
    assert await served(definitions) == "red"


async def test_many_callers_read_once(store, clock):
    await store.put(flag("red"))
    gate = Gate(store)
    definitions = Definitions(stores=over(gate), clock=clock, refresh=1.0, toolkit=EPOCH)
    await asyncio.gather(*(definitions.current() for _ in range(50)))
    assert gate.asked == 1
