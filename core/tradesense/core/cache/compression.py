"""The compressor that is always there."""

from __future__ import annotations

import zlib

from tradesense.core.cache.ports import Compressor

LEVEL = 1
"""The quickest: what is cached is read more often than it is kept for long."""


class Zlib:
    """DEFLATE (RFC 1951) in zlib's wrapping (RFC 1950). See :class:`Compressor`."""

    name = "zlib"

    def compress(self, data: bytes) -> bytes:
        """See :meth:`Compressor.compress`."""
        return zlib.compress(data, LEVEL)

    def decompress(self, data: bytes, limit: int) -> bytes:
        """See :meth:`Compressor.decompress`."""
        stream = zlib.decompressobj()
        try:
            plain = stream.decompress(data, limit + 1)
        except zlib.error as error:
            raise ValueError("not zlib data") from error
        if len(plain) > limit or not stream.eof:
            raise ValueError("cut short, or larger than it may be")
        return plain


_: type[Compressor] = Zlib
