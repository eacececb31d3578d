"""Clock, randomness and identifiers keep their contracts."""

from __future__ import annotations

import pytest

import contracted
from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.testing import ClockContract, IdsContract, RandomContract


class System:
    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest("system", self.port), contracted.context())


class TestSystemClock(System, ClockContract):
    capabilities = contracted.manifest("system", Clock).capabilities


class TestSystemRandom(System, RandomContract):
    capabilities = contracted.manifest("system", Random).capabilities


class TestUuid7Ids(System, IdsContract):
    capabilities = contracted.manifest("system", Ids).capabilities
