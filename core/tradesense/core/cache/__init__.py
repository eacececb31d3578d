"""Cache and coordination: values for a while, leases, limits and messages between processes."""

from tradesense.core.cache.models import Attempt, CacheStats, Lease, Limit, Verdict
from tradesense.core.cache.ports import Backplane, CacheStore, LockProvider, RateLimiter

__all__ = (
    "Attempt",
    "Backplane",
    "CacheStats",
    "CacheStore",
    "Lease",
    "Limit",
    "LockProvider",
    "RateLimiter",
    "Verdict",
)
