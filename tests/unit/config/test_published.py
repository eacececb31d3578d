"""The public configuration is read through the cache, and no process serves what another has changed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from cachekit import a_world, running, until
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.audit import MemoryAuditLog
from tradesense.adapters.memory.config import MemorySettingsStore
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.core.audit.chain import AuditChain
from tradesense.core.audit.models import WORKER
from tradesense.core.audit.service import AuditTrail
from tradesense.core.config.service import RuntimeSettings
from tradesense.core.errors import DatabaseUnavailable, SettingConflict
from tradesense.core.testing import ManualClock, eventually


class Counted(MemorySettingsStore):
    lists = 0
    away = False
    gate: asyncio.Event | None = None

    async def list(self, *args, **kwargs):
        if self.away:
            raise DatabaseUnavailable("the database is away")
        self.lists += 1
        page = await super().list(*args, **kwargs)
        if self.gate:
            await self.gate.wait()
        return page


@pytest.fixture
async def two():
    """The service in two processes over one store."""
    async with AsyncExitStack() as stack:
        world, state, clock = await stack.enter_async_context(a_world()), MemoryState(), ManualClock()
        chain = AuditChain(bytes(32))
        store = await stack.enter_async_context(Counted(state, clock=clock))
        log = await stack.enter_async_context(MemoryAuditLog(state, chain=chain, clock=clock))
        unit = await stack.enter_async_context(MemoryTransactions(state))
        trail = AuditTrail(log=log, chain=chain, transactions=unit)
        caches = world.process(), world.process()
        await stack.enter_async_context(running(*caches))
        yield store, [RuntimeSettings(store=store, trail=trail, joined=True, cache=cache) for cache in caches]


async def served(service, document):
    async def seen():
        """the document is served"""
        return await service.public() == document

    await eventually(seen, seconds=5)


async def test_it_is_read_once_for_all(two):
    store, (one, other) = two
    await one.put("ui.theme", "dark", public=True, actor=WORKER)
    await one.put("hidden", 1, actor=WORKER)
    assert [await service.public() for service in (one, other, one, other)] == [b'{"ui.theme":"dark"}'] * 4
    assert store.lists == 1


async def test_a_change_in_one_process_is_seen_in_the_other(two):
    _, (one, other) = two
    assert await other.public() == b"{}"
    await one.put("a", 1, public=True, actor=WORKER)
    assert await one.public() == b'{"a":1}'
    await served(other, b'{"a":1}')
    await other.delete("a", actor=WORKER)
    await served(one, b"{}")
    await one.rollback("a", 1, actor=WORKER)
    await served(other, b'{"a":1}')


async def test_what_was_read_before_a_change_is_not_kept_after_it(two):
    store, (one, _) = two
    store.gate = asyncio.Event()
    early = asyncio.create_task(one.public())
    await until(lambda: store.lists)
    await one.put("a", 1, public=True, actor=WORKER)
    store.gate.set()
    assert await early == b"{}"
    assert await one.public() == b'{"a":1}'


async def test_a_refused_change_changes_nothing(two):
    _, (one, _) = two
    await one.put("a", 1, public=True, actor=WORKER)
    with pytest.raises(SettingConflict):
        await one.put("a", 2, public=True, expected=7, actor=WORKER)
    assert await one.public() == b'{"a":1}'


async def test_without_the_database_it_is_served_from_the_cache_alone(two):
    store, (one, other) = two
    store.away = True
    with pytest.raises(DatabaseUnavailable):
        await one.public()
    store.away = False
    document = await one.public()
    store.away = True
    assert await other.public() == document
