"""The adapters of the config room keep their contract."""

from __future__ import annotations

import pytest

import contracted
import sqldatabases
from sqldatabases import OnPostgresql, OnSqlite
from tradesense.core.config import SettingsStore
from tradesense.core.testing import SettingsStoreContract
from tradesense.core.transactions import Transactions


class TestMemorySettings(SettingsStoreContract):
    capabilities = contracted.manifest("memory", SettingsStore).capabilities

    @pytest.fixture
    def platform(self):
        return contracted.context()

    @pytest.fixture
    def adapter(self, platform):
        return lambda: contracted.build(contracted.manifest("memory", SettingsStore), platform)

    @pytest.fixture
    def transactions(self, platform):
        return lambda _: contracted.build(contracted.manifest("memory", Transactions), platform)


class TestSqlSettingsOnSqlite(OnSqlite, SettingsStoreContract):
    capabilities = sqldatabases.capabilities(SettingsStore)


class TestSqlSettingsOnPostgresql(OnPostgresql, SettingsStoreContract):
    capabilities = sqldatabases.capabilities(SettingsStore)
