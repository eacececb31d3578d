"""MurmurHash3 in C, for the buckets of flags."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.core.flags.ports import BucketHash
from tradesense.plugins import Adapter, hookimpl
from tradesense.plugins.manifest import Requirement


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=BucketHash,
            name="mmh3",
            factory="tradesense.adapters.mmh3.flags:bucket_hash",
            summary="MurmurHash3 in C",
            requires=(Requirement("mmh3", "mmh3", extra="server"),),
        ),
    )
