"""The adapters of the cache room keep their contracts."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

import contracted
import sentinels
import sqldatabases
from sqldatabases import OnPostgresql, OnSqlite
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.redis import _client as redis
from tradesense.core.cache import Backplane, CacheStore, Compressor, Fences, LockProvider, RateLimiter, Topics
from tradesense.core.sensitive import Secret
from tradesense.core.testing import (
    BackplaneContract,
    CacheStoreContract,
    CompressorContract,
    FencesContract,
    LockProviderContract,
    ManualClock,
    RateLimiterContract,
    TopicsContract,
)


class Memory:
    """Adapters over one memory, whose time passes when it is told to."""

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def adapter(self, clock):
        platform = contracted.context(clock)
        return lambda: contracted.build(contracted.manifest("memory", self.port), platform)

    @pytest.fixture
    def advance(self, clock):
        return clock.advance


class TestMemoryCache(Memory, CacheStoreContract):
    capabilities = contracted.manifest("memory", CacheStore).capabilities


class TestMemoryBackplane(Memory, BackplaneContract):
    capabilities = contracted.manifest("memory", Backplane).capabilities


class TestMemoryLocks(Memory, LockProviderContract):
    capabilities = contracted.manifest("memory", LockProvider).capabilities


class TestMemoryLimiter(Memory, RateLimiterContract):
    capabilities = contracted.manifest("memory", RateLimiter).capabilities


class TestZlib(CompressorContract):
    capabilities = contracted.manifest("local", Compressor).capabilities

    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest("local", Compressor), contracted.context())


class TestZstd(CompressorContract):
    capabilities = contracted.manifest("zstd", Compressor).capabilities

    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest("zstd", Compressor), contracted.context())


class TestMemoryTopics(Memory, TopicsContract):
    capabilities = contracted.manifest("memory", Topics).capabilities


class TestMemoryCacheInRealTime(CacheStoreContract):
    """The way of adapters that take no Clock."""

    @pytest.fixture
    def adapter(self):
        platform = contracted.context()
        return lambda: contracted.build(contracted.manifest("memory", CacheStore), platform)


class TestMemoryLocksInRealTime(LockProviderContract):
    @pytest.fixture
    def adapter(self):
        platform = contracted.context()
        return lambda: contracted.build(contracted.manifest("memory", LockProvider), platform)


class TestMemoryLimiterInRealTime(RateLimiterContract):
    @pytest.fixture
    def adapter(self):
        platform = contracted.context()
        return lambda: contracted.build(contracted.manifest("memory", RateLimiter), platform)


class OnValkey:
    """Adapters over one Valkey, whose connections the platform shares and opens first."""

    @pytest.fixture
    async def adapter(self, valkey_url, unique_prefix):
        async with self._adapters(valkey_url, unique_prefix) as adapters:
            yield adapters

    @pytest.fixture
    async def unreachable(self, valkey, unique_prefix, fault_proxy):
        async with (
            fault_proxy(valkey.host, valkey.port) as proxy,
            self._adapters(f"redis://{proxy.host}:{proxy.port}/0", unique_prefix) as adapters,
        ):
            await proxy.down()
            yield adapters

    @asynccontextmanager
    async def _adapters(self, url, prefix):
        platform, manifest = contracted.context(), contracted.manifest("redis", self.port)
        settings = {"url": Secret(url), "prefix": f"{prefix}:", "timeout": 5.0}
        async with redis.shared(manifest.settings(**settings), platform):
            yield lambda: contracted.build(manifest, platform, **settings)


class TestRedisCache(OnValkey, CacheStoreContract):
    capabilities = contracted.manifest("redis", CacheStore).capabilities


class TestRedisBackplane(OnValkey, BackplaneContract):
    capabilities = contracted.manifest("redis", Backplane).capabilities


class TestRedisTopics(OnValkey, TopicsContract):
    capabilities = contracted.manifest("redis", Topics).capabilities


class TestRedisLocks(OnValkey, LockProviderContract):
    capabilities = contracted.manifest("redis", LockProvider).capabilities


class TestRedisLimiter(OnValkey, RateLimiterContract):
    capabilities = contracted.manifest("redis", RateLimiter).capabilities


class OnRedisEight(OnValkey):
    """The same over Redis 8."""

    @pytest.fixture
    def valkey(self, redis_eight):
        return redis_eight

    @pytest.fixture
    def valkey_url(self, redis_eight_url):
        return redis_eight_url


class TestCacheOnRedisEight(OnRedisEight, CacheStoreContract):
    capabilities = contracted.manifest("redis", CacheStore).capabilities


class TestBackplaneOnRedisEight(OnRedisEight, BackplaneContract):
    capabilities = contracted.manifest("redis", Backplane).capabilities


class TestLocksOnRedisEight(OnRedisEight, LockProviderContract):
    capabilities = contracted.manifest("redis", LockProvider).capabilities


class TestLimiterOnRedisEight(OnRedisEight, RateLimiterContract):
    capabilities = contracted.manifest("redis", RateLimiter).capabilities


class TestTopicsOnRedisEight(OnRedisEight, TopicsContract):
    capabilities = contracted.manifest("redis", Topics).capabilities


@pytest.fixture(scope="module")
def failed_over():
    """Sentinels whose first primary was killed."""
    with sentinels.watched() as servers:
        servers.fail_over()
        yield servers


class AfterAFailOver(OnValkey):
    """The same over the primary that sentinels have named since."""

    @pytest.fixture
    def valkey_url(self, failed_over):
        return failed_over.url


class TestCacheAfterAFailOver(AfterAFailOver, CacheStoreContract):
    capabilities = contracted.manifest("redis", CacheStore).capabilities


class TestBackplaneAfterAFailOver(AfterAFailOver, BackplaneContract):
    capabilities = contracted.manifest("redis", Backplane).capabilities


class TestLocksAfterAFailOver(AfterAFailOver, LockProviderContract):
    capabilities = contracted.manifest("redis", LockProvider).capabilities


class TestLimiterAfterAFailOver(AfterAFailOver, RateLimiterContract):
    capabilities = contracted.manifest("redis", RateLimiter).capabilities


class TestTopicsAfterAFailOver(AfterAFailOver, TopicsContract):
    capabilities = contracted.manifest("redis", Topics).capabilities


class TestSqlLocksOnSqlite(OnSqlite, LockProviderContract):
    capabilities = sqldatabases.capabilities(LockProvider)


class TestSqlLocksOnPostgresql(OnPostgresql, LockProviderContract):
    capabilities = sqldatabases.capabilities(LockProvider)


class TestSqlLimiterOnSqlite(OnSqlite, RateLimiterContract):
    capabilities = sqldatabases.capabilities(RateLimiter)


class TestSqlLimiterOnPostgresql(OnPostgresql, RateLimiterContract):
    capabilities = sqldatabases.capabilities(RateLimiter)


class TestMemoryFences(Memory, FencesContract):
    capabilities = contracted.manifest("memory", Fences).capabilities

    @pytest.fixture
    def transactions(self):
        return lambda fences: MemoryTransactions(fences.state)


class TestSqlFencesOnSqlite(OnSqlite, FencesContract):
    capabilities = sqldatabases.capabilities(Fences)


class TestSqlFencesOnPostgresql(OnPostgresql, FencesContract):
    capabilities = sqldatabases.capabilities(Fences)
