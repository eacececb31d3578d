"""Small makers of the room of flags that the composition root wires."""

from __future__ import annotations

from tradesense.core.capabilities import Capability
from tradesense.core.errors import ConfigurationError
from tradesense.core.flags.ports import BucketHash, ChangeStore, FlagStore, Patterns, SegmentStore
from tradesense.core.flags.stores import Stores
from tradesense.core.flags.toolkit import Toolkit
from tradesense.entrypoints import parts
from tradesense.entrypoints.adapters import Adapters
from tradesense.settings.schema import Settings

PATTERNS, BUCKET_HASH = "re2", "mmh3"
"""What evaluates patterns and buckets. Any other must give the same answers, so there is nothing to choose."""
EVERY_SECONDS = 10.0
"""How often the worker looks for changes of flags whose time has come."""


def definitions(adapters: Adapters, settings: Settings) -> Stores:
    """Flags and segments of the chosen provider, and the changes that wait.

    :raises ConfigurationError: ``flags.review`` asks for approvals, and the provider cannot let a change wait.
    """
    name = settings.flags.provider
    writable = Capability.WRITE in adapters.capabilities(FlagStore, name)
    requests = (
        adapters.beside(ChangeStore, name) if writable and parts.joins(adapters, settings, "flags.provider") else None
    )
    if settings.flags.review and writable and requests is None:
        raise ConfigurationError(
            f"flags.review needs a provider of flags that keeps changes with the audit trail; {name!r} does not",
            origin="flags.review",
            mend="choose one provider for flags.provider and audit.provider, sql or memory",
        )
    return Stores(
        flags=parts.chosen(adapters, settings, "flags.provider"),
        segments=parts.chosen(adapters, settings, "flags.provider", SegmentStore),
        name=name,
        writable=writable,
        requests=requests,
    )


def toolkit(adapters: Adapters) -> Toolkit:
    """What the engine of flags is lent."""
    clock = adapters.clock
    return Toolkit(
        now=lambda: clock.now().timestamp(),
        hash32=adapters.choose(BucketHash, BUCKET_HASH, "flags.hash"),
        patterns=adapters.choose(Patterns, PATTERNS, "flags.patterns"),
    )
