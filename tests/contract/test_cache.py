"""The adapters of the cache room keep their contracts."""

from __future__ import annotations

import pytest

import contracted
from tradesense.core.cache import Backplane, CacheStore, LockProvider, RateLimiter
from tradesense.core.testing import (
    BackplaneContract,
    CacheStoreContract,
    LockProviderContract,
    ManualClock,
    RateLimiterContract,
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
