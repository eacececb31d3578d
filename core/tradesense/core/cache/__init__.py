"""Cache and coordination: values for a while, leases, limits and messages between processes."""

from tradesense.core.cache.decorator import cached
from tradesense.core.cache.models import (
    Attempt,
    CacheStats,
    DeadLetter,
    Delivery,
    Entry,
    GroupSummary,
    History,
    Lease,
    Limit,
    TopicSummary,
    Verdict,
)
from tradesense.core.cache.named import NamedCache
from tradesense.core.cache.options import EntryOptions
from tradesense.core.cache.ports import (
    Backplane,
    CacheStore,
    Compressor,
    DeadLetters,
    Fences,
    LockProvider,
    RateLimiter,
    TopicGroups,
    TopicOverview,
    Topics,
)
from tradesense.core.cache.refresh import Refresh
from tradesense.core.cache.service import HybridCache

__all__ = (
    "Attempt",
    "Backplane",
    "CacheStats",
    "CacheStore",
    "Compressor",
    "DeadLetter",
    "DeadLetters",
    "Delivery",
    "Entry",
    "EntryOptions",
    "Fences",
    "GroupSummary",
    "History",
    "HybridCache",
    "Lease",
    "Limit",
    "LockProvider",
    "NamedCache",
    "RateLimiter",
    "Refresh",
    "TopicGroups",
    "TopicOverview",
    "TopicSummary",
    "Topics",
    "Verdict",
    "cached",
)
