"""The adapters of the jobs room keep their contract."""

from __future__ import annotations

import pytest

import contracted
import sqldatabases
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.core.jobs import JobQueue, Outbox
from tradesense.core.sensitive import Secret
from tradesense.core.testing import JobQueueContract, OutboxContract


class TestMemoryJobs(JobQueueContract):
    capabilities = contracted.manifest("memory", JobQueue).capabilities

    @pytest.fixture
    def adapter(self):
        platform = contracted.context()
        settings = {"retry_seconds": 0.005, "grace_seconds": 0.05}
        return lambda: contracted.build(contracted.manifest("memory", JobQueue), platform, **settings)


class TestTaskiqJobs(JobQueueContract):
    capabilities = contracted.manifest("taskiq", JobQueue).capabilities

    @pytest.fixture
    def adapter(self, valkey_url, unique_prefix):
        return lambda: self._queue(valkey_url, unique_prefix)

    @pytest.fixture
    def unreachable(self, unique_prefix):
        return lambda: self._queue("redis://127.0.0.1:1/0", unique_prefix)

    def _queue(self, url, prefix):
        settings = {"url": Secret(url), "prefix": f"{prefix}:", "timeout": 5.0}
        pauses = {"job_retry_seconds": 0.005, "job_grace_seconds": 0.05}
        return contracted.build(contracted.manifest("taskiq", JobQueue), contracted.context(), **settings, **pauses)


class TestMemoryOutbox(OutboxContract):
    capabilities = contracted.manifest("memory", Outbox).capabilities

    @pytest.fixture
    def adapter(self):
        platform = contracted.context()
        return lambda: contracted.build(contracted.manifest("memory", Outbox), platform)

    @pytest.fixture
    def transactions(self):
        return lambda outbox: MemoryTransactions(outbox.state)


class TestSqliteOutbox(sqldatabases.OnSqlite, OutboxContract):
    capabilities = sqldatabases.capabilities(Outbox)


class TestPostgresqlOutbox(sqldatabases.OnPostgresql, OutboxContract):
    capabilities = sqldatabases.capabilities(Outbox)
