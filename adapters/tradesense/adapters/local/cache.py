"""The compressor that is always there."""

from __future__ import annotations

from tradesense.core.cache.compression import Zlib
from tradesense.plugins import AdapterContext
from tradesense.plugins.manifest import NoSettings


def compressor(_: NoSettings, __: AdapterContext) -> Zlib:
    """A :class:`Compressor`."""
    return Zlib()
