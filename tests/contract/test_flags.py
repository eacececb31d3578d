"""The adapters of the flags room keep their contracts."""

from __future__ import annotations

import pytest

import contracted
import sqldatabases
from sqldatabases import OnPostgresql, OnSqlite
from tradesense.core.flags import ExposureSink, FlagStore
from tradesense.core.testing import ExposureSinkContract, FlagStoreContract
from tradesense.core.transactions import Transactions


class TestMemoryFlags(FlagStoreContract):
    capabilities = contracted.manifest("memory", FlagStore).capabilities

    @pytest.fixture
    def platform(self):
        return contracted.context()

    @pytest.fixture
    def adapter(self, platform):
        return lambda: contracted.build(contracted.manifest("memory", FlagStore), platform)

    @pytest.fixture
    def transactions(self, platform):
        return lambda _: contracted.build(contracted.manifest("memory", Transactions), platform)


class TestMemoryExposures(ExposureSinkContract):
    capabilities = contracted.manifest("memory", ExposureSink).capabilities

    @pytest.fixture
    def adapter(self):
        platform = contracted.context()
        return lambda: contracted.build(contracted.manifest("memory", ExposureSink), platform)

    @pytest.fixture
    def recorded(self):
        async def read(sink):
            return list(sink.recorded)

        return read


class TestSqlFlagsOnSqlite(OnSqlite, FlagStoreContract):
    capabilities = sqldatabases.capabilities(FlagStore)


class TestSqlFlagsOnPostgresql(OnPostgresql, FlagStoreContract):
    capabilities = sqldatabases.capabilities(FlagStore)


class SqlExposures:
    capabilities = sqldatabases.capabilities(ExposureSink)

    @pytest.fixture
    def recorded(self):
        return sqldatabases.recorded


class TestSqlExposuresOnSqlite(SqlExposures, OnSqlite, ExposureSinkContract):
    pass


class TestSqlExposuresOnPostgresql(SqlExposures, OnPostgresql, ExposureSinkContract):
    pass
