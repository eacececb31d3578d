"""The adapters of the flags room keep their contracts."""

from __future__ import annotations

from functools import partial

import msgspec
import pytest

import contracted
import sqldatabases
from sqldatabases import OnPostgresql, OnSqlite
from tradesense.core.flags import BucketHash, ChangeStore, ExperimentStore, FlagStore, Patterns, SegmentStore
from tradesense.core.flags.murmur import murmur3
from tradesense.core.testing import (
    BucketHashContract,
    ChangeStoreContract,
    ExperimentStoreContract,
    FlagStoreContract,
    PatternsContract,
    SegmentStoreContract,
)
from tradesense.core.transactions import Transactions


class InMemory:
    @pytest.fixture
    def platform(self):
        return contracted.context()

    @pytest.fixture
    def adapter(self, platform):
        return lambda: contracted.build(contracted.manifest("memory", self.port), platform)

    @pytest.fixture
    def transactions(self, platform):
        return lambda _: contracted.build(contracted.manifest("memory", Transactions), platform)


class TestMemoryFlags(InMemory, FlagStoreContract):
    capabilities = contracted.manifest("memory", FlagStore).capabilities


class TestMemorySegments(InMemory, SegmentStoreContract):
    capabilities = contracted.manifest("memory", SegmentStore).capabilities


class TestMemoryChanges(InMemory, ChangeStoreContract):
    capabilities = contracted.manifest("memory", ChangeStore).capabilities


class TestSqlChangesOnSqlite(OnSqlite, ChangeStoreContract):
    capabilities = sqldatabases.capabilities(ChangeStore)


class TestSqlChangesOnPostgresql(OnPostgresql, ChangeStoreContract):
    capabilities = sqldatabases.capabilities(ChangeStore)


class TestMemoryExperiments(InMemory, ExperimentStoreContract):
    capabilities = contracted.manifest("memory", ExperimentStore).capabilities


class TestSqlFlagsOnSqlite(OnSqlite, FlagStoreContract):
    capabilities = sqldatabases.capabilities(FlagStore)


class TestSqlFlagsOnPostgresql(OnPostgresql, FlagStoreContract):
    capabilities = sqldatabases.capabilities(FlagStore)


class TestSqlSegmentsOnSqlite(OnSqlite, SegmentStoreContract):
    capabilities = sqldatabases.capabilities(SegmentStore)


class TestSqlSegmentsOnPostgresql(OnPostgresql, SegmentStoreContract):
    capabilities = sqldatabases.capabilities(SegmentStore)


class InAFile:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "flags.json"
        path.write_text("{}")
        return path

    @pytest.fixture
    def adapter(self, file):
        return lambda: contracted.build(contracted.manifest("local", self.port), contracted.context(), path=str(file))

    @pytest.fixture
    def unreachable(self, tmp_path):
        return lambda: contracted.build(
            contracted.manifest("local", self.port), contracted.context(), path=str(tmp_path / "absent.json")
        )

    @pytest.fixture
    def stock(self, file):
        async def write(definitions):
            following = file.with_suffix(".next")
            following.write_bytes(msgspec.json.encode({f"{self.kind.name}s": definitions}))
            following.replace(file)

        return write


class TestFlagsInAFile(InAFile, FlagStoreContract):
    capabilities = contracted.manifest("local", FlagStore).capabilities


class TestSegmentsInAFile(InAFile, SegmentStoreContract):
    capabilities = contracted.manifest("local", SegmentStore).capabilities


class TestSqlExperimentsOnSqlite(OnSqlite, ExperimentStoreContract):
    capabilities = sqldatabases.capabilities(ExperimentStore)


class TestSqlExperimentsOnPostgresql(OnPostgresql, ExperimentStoreContract):
    capabilities = sqldatabases.capabilities(ExperimentStore)


class TestRe2(PatternsContract):
    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest("re2", Patterns), contracted.context())


class TestMmh3(BucketHashContract):
    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest("mmh3", BucketHash), contracted.context())


class TestMurmurInTheCore(BucketHashContract):
    @pytest.fixture
    def adapter(self):
        return lambda: partial(murmur3)
