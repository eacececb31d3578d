"""The contracts of the cache room."""

from tradesense.core.testing.cache.backplane import BackplaneContract
from tradesense.core.testing.cache.compressor import CompressorContract
from tradesense.core.testing.cache.fences import FencesContract
from tradesense.core.testing.cache.limiter import RateLimiterContract
from tradesense.core.testing.cache.locks import LockProviderContract
from tradesense.core.testing.cache.store import CacheStoreContract
from tradesense.core.testing.cache.topics import TopicsContract

__all__ = (
    "BackplaneContract",
    "CacheStoreContract",
    "CompressorContract",
    "FencesContract",
    "LockProviderContract",
    "RateLimiterContract",
    "TopicsContract",
)
