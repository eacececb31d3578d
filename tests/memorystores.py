"""The memory adapter of secrets under its whole contract: what is wrong on purpose is a subclass of its `Store`."""

from __future__ import annotations

import pytest

import contracted
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.errors import SecretDenied, SecretStoreUnavailable
from tradesense.core.secrets import SecretStore
from tradesense.core.testing import SecretStoreContract


class Stores(SecretStoreContract):
    """Stores over one state, as processes would be over one server."""

    capabilities = contracted.manifest("memory", SecretStore).capabilities | {Capability.SHARED, Capability.PERSISTENT}
    patience = 0.1
    Store = MemorySecretStore

    @pytest.fixture
    def state(self):
        return MemoryState()

    @pytest.fixture
    def adapter(self, state):
        return lambda: self.Store(state, clock=SystemClock())

    @pytest.fixture
    def transactions(self):
        return lambda store: MemoryTransactions(store.state)


class Right(Stores):
    """With everything that a test may ask for."""

    patience = SecretStoreContract.patience

    @pytest.fixture
    def unreachable(self, state):
        return lambda: Failing(state, SecretStoreUnavailable)

    @pytest.fixture
    def denied(self, state):
        return lambda: Failing(state, SecretDenied)


class Failing(MemorySecretStore):
    """Raises the same at every call."""

    def __init__(self, state, error):
        super().__init__(state, clock=SystemClock())
        self.error = error

    def check_open(self):
        super().check_open()
        raise self.error("by intent")
