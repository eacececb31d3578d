"""Everything that is kept, in one SQL database: SQLite in a file for one host, PostgreSQL for many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.audit.ports import AuditLog
from tradesense.core.cache.ports import Fences, LockProvider, RateLimiter
from tradesense.core.capabilities import Capability
from tradesense.core.config.ports import SettingsStore
from tradesense.core.flags.ports import ChangeStore, ExperimentStore, FlagStore, SegmentStore
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.jobs.ports import Outbox
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.transactions import Transactions
from tradesense.plugins.hookspecs import hookimpl
from tradesense.plugins.manifest import Adapter, Requirement

_KEPT = frozenset({Capability.PERSISTENT, Capability.SHARED})
_JOINING = _KEPT | {Capability.TRANSACTIONAL}
_DEFINITIONS = _JOINING | {Capability.WRITE}
_OUTBOX = _JOINING | {Capability.DEDUPLICATION}
_SECRETS = _JOINING | {
    Capability.WRITE,
    Capability.CAS,
    Capability.VERSIONS,
    Capability.ROTATION,
    Capability.AUTHORS,
    Capability.UNDELETE,
    Capability.ERASE,
    Capability.METADATA,
    Capability.RETENTION,
    Capability.ENVELOPES,
    Capability.BINARY,
}


def _sql(port: type[Any], factory: str, summary: str, capabilities: frozenset[Capability]) -> Adapter:
    return Adapter(
        port=port,
        name="sql",
        factory=f"tradesense.adapters.sql.{factory}",
        summary=summary,
        settings=SqlSettings,
        section="database",
        capabilities=capabilities,
        requires=(
            Requirement("sqlalchemy", "sqlalchemy", "server"),
            Requirement("aiosqlite", "aiosqlite", "server"),
            Requirement("asyncpg", "asyncpg", "server"),
        ),
    )


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The adapters over the database at ``database.url``."""
    return (
        _sql(Transactions, "transactions:transactions", "Database transactions", frozenset()),
        _sql(IdentityStore, "identity:identity_store", "Accounts and sessions in tables", _JOINING),
        _sql(SecretStore, "secrets:secret_store", "Secrets as envelopes in a table, with versions", _SECRETS),
        _sql(FlagStore, "flags:flag_store", "Flag definitions in a table, with their history", _DEFINITIONS),
        _sql(SegmentStore, "flags:segment_store", "Segments in a table, with their history", _DEFINITIONS),
        _sql(ChangeStore, "flags:change_store", "Changes of flags that wait, in a table", _JOINING),
        _sql(ExperimentStore, "flags:experiment_store", "Exposures and conversions in tables", _JOINING),
        _sql(SettingsStore, "config:settings_store", "Runtime settings in a table, with their history", _JOINING),
        _sql(AuditLog, "audit:audit_log", "The audit trail as a hash chain in a table", _JOINING),
        _sql(Outbox, "jobs:outbox_of", "Jobs in a table until the queue has them", _OUTBOX),
        _sql(LockProvider, "cache:lock_provider", "Leases in a table, timed by the database", _KEPT),
        _sql(RateLimiter, "cache:rate_limiter", "Exact limits in a table, for counts of some hundreds", _KEPT),
        _sql(Fences, "cache:fences_of", "The greatest fencing token of each lease, in a table", _JOINING),
    )
