"""Compression with Zstandard (RFC 8878)."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.zstd.settings import ZstdSettings
from tradesense.core.cache.ports import Compressor
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=Compressor,
            name="zstd",
            factory="tradesense.adapters.zstd.cache:compressor",
            summary="Zstandard: smaller and quicker than zlib",
            settings=ZstdSettings,
            requires=(Requirement("zstandard", "zstandard", "zstd"),),
        ),
    )
