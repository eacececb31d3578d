"""Zstandard frames (RFC 8878)."""

from __future__ import annotations

import zstandard

from tradesense.adapters.zstd.settings import ZstdSettings
from tradesense.core.cache.ports import Compressor
from tradesense.plugins import AdapterContext

WINDOW = 8 * 1024 * 1024
"""Bytes that a frame may ask the reader to hold; what this writes asks for less."""


class ZstdCompressor:
    """One frame for each value, with a checksum. See :class:`Compressor`."""

    name = "zstd"

    def __init__(self, *, level: int = 3) -> None:
        self._level = level

    def compress(self, data: bytes) -> bytes:
        """See :meth:`Compressor.compress`."""
        return zstandard.ZstdCompressor(level=self._level, write_checksum=True).compress(data)

    def decompress(self, data: bytes, limit: int) -> bytes:
        """See :meth:`Compressor.decompress`."""
        try:
            size = zstandard.get_frame_parameters(data).content_size
            if size > limit:  # also of a frame that does not say
                raise ValueError("larger than it may be")
            # Into a buffer of that size: a frame that holds more, or less, or ends early, is an error.
            plain = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompress(data, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise ValueError("not a Zstandard frame") from error
        return plain


def compressor(settings: ZstdSettings, _: AdapterContext) -> ZstdCompressor:
    """A :class:`Compressor`."""
    return ZstdCompressor(level=settings.level)


_: type[Compressor] = ZstdCompressor
