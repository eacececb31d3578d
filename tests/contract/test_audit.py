"""The adapters of the audit room keep their contract."""

from __future__ import annotations

import pytest

import contracted
import sqldatabases
from sqldatabases import OnPostgresql, OnSqlite
from tradesense.core.audit import AuditLog
from tradesense.core.testing import AuditLogContract
from tradesense.core.transactions import Transactions


class TestMemoryAudit(AuditLogContract):
    capabilities = contracted.manifest("memory", AuditLog).capabilities

    @pytest.fixture
    def platform(self, chain):
        platform = contracted.context()
        platform.chain = chain
        return platform

    @pytest.fixture
    def adapter(self, platform):
        return lambda: contracted.build(contracted.manifest("memory", AuditLog), platform)

    @pytest.fixture
    def transactions(self, platform):
        return lambda _: contracted.build(contracted.manifest("memory", Transactions), platform)


class SqlAudit:
    capabilities = sqldatabases.capabilities(AuditLog)

    @pytest.fixture
    def adapter(self, database_url, chain):
        return lambda: sqldatabases.sql(AuditLog, database_url, sqldatabases.platform(chain))


class TestSqlAuditOnSqlite(SqlAudit, OnSqlite, AuditLogContract):
    pass


class TestSqlAuditOnPostgresql(SqlAudit, OnPostgresql, AuditLogContract):
    pass
