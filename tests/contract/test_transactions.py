"""The transactions of each provider keep their contract."""

from __future__ import annotations

import pytest

import contracted
import sqldatabases
from sqldatabases import OnPostgresql, OnSqlite
from tradesense.core.audit import AuditLog
from tradesense.core.audit.chain import AuditChain
from tradesense.core.testing import TransactionsContract
from tradesense.core.transactions import Transactions


class TestMemoryTransactions(TransactionsContract):
    capabilities = contracted.manifest("memory", Transactions).capabilities

    @pytest.fixture
    def platform(self):
        platform = contracted.context()
        platform.chain = AuditChain(bytes(range(32)))
        return platform

    @pytest.fixture
    def adapter(self, platform):
        return lambda: contracted.build(contracted.manifest("memory", Transactions), platform)

    @pytest.fixture
    def log(self, platform):
        return lambda _: contracted.build(contracted.manifest("memory", AuditLog), platform)


class TestSqlTransactionsOnSqlite(OnSqlite, TransactionsContract):
    capabilities = sqldatabases.capabilities(Transactions)


class TestSqlTransactionsOnPostgresql(OnPostgresql, TransactionsContract):
    capabilities = sqldatabases.capabilities(Transactions)
