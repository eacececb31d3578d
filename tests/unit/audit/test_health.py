"""The trail is tried only after it refused a record, and what tries it leaves nothing behind."""

from __future__ import annotations

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.audit import MemoryAuditLog
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.audit.chain import AuditChain
from tradesense.core.audit.health import TrailHealth
from tradesense.core.audit.models import WORKER
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import AuditUnavailable
from tradesense.core.telemetry.models import Status

EVENT = Event("test.done", "subject", WORKER)


class Breakable(MemoryAuditLog):
    broken = False
    asked = 0

    async def append(self, entry):
        self.asked += 1
        if self.broken:
            raise AuditUnavailable("no room is left")
        return await super().append(entry)


async def test_a_trail_that_refuses_is_degraded_until_it_records_again():
    state, chain = MemoryState(), AuditChain(bytes(32))
    async with Breakable(state, chain=chain, clock=SystemClock()) as log, MemoryTransactions(state) as unit:
        trail = AuditTrail(log=log, chain=chain, transactions=unit)
        health = TrailHealth(trail)
        await trail.note(EVENT)
        assert (await health.check()).status is Status.UP
        assert log.asked == 1, "a healthy trail is not tried"

        log.broken = True
        with pytest.raises(AuditUnavailable):
            await trail.note(EVENT)
        found = await health.check()
        assert found.status is Status.DEGRADED
        assert "no room is left" in found.detail

        log.broken = False
        assert (await health.check()).status is Status.UP
        assert (await trail.head()).seq == 1
