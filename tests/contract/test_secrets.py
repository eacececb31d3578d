"""The adapters of the secrets room keep their contracts."""

from __future__ import annotations

import pytest

import contracted
from tradesense.core.secrets import SecretStore
from tradesense.core.testing import SecretStoreContract
from tradesense.core.transactions import Transactions

MEMORY = contracted.manifest("memory", SecretStore)


class TestMemorySecrets(SecretStoreContract):
    capabilities = MEMORY.capabilities

    @pytest.fixture
    def platform(self):
        return contracted.context()

    @pytest.fixture
    def adapter(self, platform):
        return lambda: contracted.build(MEMORY, platform)

    @pytest.fixture
    def transactions(self, platform):
        return lambda _: contracted.build(contracted.manifest("memory", Transactions), platform)
