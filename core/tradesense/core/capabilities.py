"""What an adapter may declare that it can do beyond the least its port asks."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """An optional ability. It is declared in the adapter's manifest and proved by the contract suite, never guessed."""

    TRANSACTIONAL = "transactional"
    """Its writes join a :class:`~tradesense.core.transactions.Transactions` of the same provider."""
    PERSISTENT = "persistent"
    """What it holds outlives the process."""
    SHARED = "shared"
    """Several processes see the same contents."""
    WRITE = "write"
    """Secrets can be written and deleted: the adapter is a ``WritableSecretStore``."""
    CAS = "cas"
    """A write can name the version that it expects, atomically."""
    VERSIONS = "versions"
    """Old versions can be read: the adapter is a ``VersionedSecretStore``."""
    ROTATION = "rotation"
    """A new version can be staged and promoted: the adapter is a ``RotatingSecretStore``."""
    BINARY = "binary"
    """Secret values may be any bytes, not only UTF-8 text."""
    SCRAPE = "scrape"
    """Its metrics can be read as an exposition text: the adapter is ``Scrapable``."""
    TRACES = "traces"
    """It records spans."""
    METRICS = "metrics"
    """It records counters, gauges and histograms."""
    PUBLIC_KEYS = "public-keys"
    """Its signatures are verified with public keys, published as a JWK set (RFC 7517)."""
    DEDUPLICATION = "deduplication"
    """Two jobs with one key are enqueued once."""
