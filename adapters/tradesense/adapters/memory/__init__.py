"""Every room in the memory of one process: for development, for tests, and as a first level.

What these adapters hold ends with the process and is seen by no other.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.memory.settings import MemoryCacheSettings, MemoryIdentitySettings, MemoryJobsSettings
from tradesense.core.audit.ports import AuditLog
from tradesense.core.cache.ports import Backplane, CacheStore, Fences, LockProvider, RateLimiter, Topics
from tradesense.core.capabilities import Capability
from tradesense.core.config.ports import SettingsStore
from tradesense.core.flags.ports import ChangeStore, ExperimentStore, FlagStore, SegmentStore
from tradesense.core.identity.ports import BreachedPasswords, IdentityProvider, IdentityStore, Messenger, WebhookSender
from tradesense.core.jobs.ports import JobQueue, Outbox
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.telemetry.ports import AlertNotifier, ErrorReporter, Telemetry
from tradesense.core.transactions import Transactions
from tradesense.plugins import Adapter, hookimpl

_HERE = "tradesense.adapters.memory"
_TRANSACTIONAL = frozenset({Capability.TRANSACTIONAL})
_SECRETS = frozenset(
    {
        Capability.WRITE,
        Capability.CAS,
        Capability.VERSIONS,
        Capability.ROTATION,
        Capability.AUTHORS,
        Capability.UNDELETE,
        Capability.ERASE,
        Capability.METADATA,
        Capability.RETENTION,
        Capability.BINARY,
        Capability.TRANSACTIONAL,
    }
)


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (*_stores(), *_cache(), *_identity(), *_telemetry())


def _stores() -> Iterable[Adapter]:
    yield Adapter(
        port=Transactions,
        name="memory",
        factory=f"{_HERE}.transactions:transactions",
        summary="Transactions over the stores in memory",
    )
    yield Adapter(
        port=AuditLog,
        name="memory",
        factory=f"{_HERE}.audit:log",
        summary="A hash-chained trail in memory",
        capabilities=_TRANSACTIONAL,
    )
    yield Adapter(
        port=SecretStore,
        name="memory",
        factory=f"{_HERE}.secrets:store",
        summary="Secrets with versions, recovery and rotation, in memory",
        capabilities=_SECRETS,
    )
    yield Adapter(
        port=FlagStore,
        name="memory",
        factory=f"{_HERE}.flags:store",
        summary="Flag definitions in memory, with their history",
        capabilities=_TRANSACTIONAL | {Capability.WRITE},
    )
    yield Adapter(
        port=SegmentStore,
        name="memory",
        factory=f"{_HERE}.flags:segments",
        summary="Segments in memory, with their history",
        capabilities=_TRANSACTIONAL | {Capability.WRITE},
    )
    yield Adapter(
        port=ChangeStore,
        name="memory",
        factory=f"{_HERE}.flags:changes",
        summary="Changes of flags that wait, in memory",
        capabilities=_TRANSACTIONAL,
    )
    yield Adapter(
        port=ExperimentStore,
        name="memory",
        factory=f"{_HERE}.flags:experiments",
        summary="Exposures and conversions in memory",
        capabilities=_TRANSACTIONAL,
    )
    yield Adapter(
        port=SettingsStore,
        name="memory",
        factory=f"{_HERE}.config:store",
        summary="Runtime settings in memory",
        capabilities=_TRANSACTIONAL,
    )
    yield Adapter(
        port=JobQueue,
        name="memory",
        factory=f"{_HERE}.jobs:queue",
        summary="A job queue within one process",
        settings=MemoryJobsSettings,
        capabilities=frozenset({Capability.DEDUPLICATION}),
    )
    yield Adapter(
        port=Outbox,
        name="memory",
        factory=f"{_HERE}.jobs:outbox",
        summary="Jobs that wait for the queue, in memory",
        capabilities=_TRANSACTIONAL | {Capability.DEDUPLICATION},
    )


def _cache() -> Iterable[Adapter]:
    yield Adapter(
        port=CacheStore,
        name="memory",
        factory=f"{_HERE}.cache:store",
        summary="Cached values in memory, the least recently read going first",
        settings=MemoryCacheSettings,
    )
    yield Adapter(
        port=Backplane,
        name="memory",
        factory=f"{_HERE}.cache:backplane",
        summary="Messages within one process",
    )
    yield Adapter(
        port=Topics,
        name="memory",
        factory=f"{_HERE}.cache:topics",
        summary="Topics with groups and dead letters within one process",
        capabilities=frozenset({Capability.GROUPS, Capability.DEAD_LETTERS, Capability.OVERVIEW}),
    )
    yield Adapter(
        port=LockProvider,
        name="memory",
        factory=f"{_HERE}.cache:locks",
        summary="Leases within one process",
    )
    yield Adapter(
        port=Fences,
        name="memory",
        factory=f"{_HERE}.cache:fences",
        summary="Fencing tokens beside the stores in memory",
        capabilities=_TRANSACTIONAL,
    )
    yield Adapter(
        port=RateLimiter,
        name="memory",
        factory=f"{_HERE}.cache:limiter",
        summary="Exact limits within one process",
        settings=MemoryCacheSettings,
    )


def _identity() -> Iterable[Adapter]:
    yield Adapter(
        port=IdentityStore,
        name="memory",
        factory=f"{_HERE}.identity:store",
        summary="Accounts and sessions in memory",
        capabilities=_TRANSACTIONAL,
    )
    yield Adapter(
        port=IdentityProvider,
        name="memory",
        factory=f"{_HERE}.identity:provider",
        summary="An external login that a test plays",
    )
    yield Adapter(
        port=WebhookSender,
        name="memory",
        factory=f"{_HERE}.identity:webhook_sender",
        summary="Keeps the last webhooks instead of sending them",
    )
    yield Adapter(
        port=Messenger,
        name="memory",
        factory=f"{_HERE}.identity:messenger",
        summary="Keeps the last messages instead of sending them",
        capabilities=frozenset({Capability.DEDUPLICATION}),
    )
    yield Adapter(
        port=BreachedPasswords,
        name="memory",
        factory=f"{_HERE}.identity:breached",
        summary="A list of passwords in the settings",
        settings=MemoryIdentitySettings,
    )


def _telemetry() -> Iterable[Adapter]:
    yield Adapter(
        port=Telemetry,
        name="memory",
        factory=f"{_HERE}.telemetry:telemetry",
        summary="Keeps series and the last spans and events, for tests",
        capabilities=frozenset({Capability.METRICS, Capability.TRACES}),
    )
    yield Adapter(
        port=ErrorReporter,
        name="memory",
        factory=f"{_HERE}.telemetry:errors",
        summary="Keeps the last errors",
    )
    yield Adapter(
        port=AlertNotifier,
        name="memory",
        factory=f"{_HERE}.telemetry:alerts",
        summary="Keeps the last alerts",
    )
