"""A process that rotates one secret, and the service that takes its credential."""

from __future__ import annotations

import pytest

from rotationkit import PATH, Service, opened
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.memory.telemetry import MemoryAlertNotifier
from tradesense.core.testing import ManualClock


@pytest.fixture
async def made():
    clock = ManualClock()
    async with MemorySecretStore(MemoryState(), clock=clock) as store, MemoryAlertNotifier() as alerts:
        world = await opened(store, clock, Service("first"))
        world.service = world.rotation._rotators[PATH]
        world.alerts = world.rotation._alerts = alerts
        yield world
