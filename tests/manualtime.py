"""Time that passes when a test tells it to."""

from __future__ import annotations

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.core.capabilities import Capability
from tradesense.core.testing import ManualClock


class Timed:
    """Time passes when it is told to, and a wrong adapter is not waited for."""

    capabilities = frozenset({Capability.SHARED})
    patience = 0.1

    @pytest.fixture
    def state(self):
        return MemoryState()

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def advance(self, clock):
        return clock.advance
