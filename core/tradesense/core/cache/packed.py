"""Values on their way into both levels, encoded and checked before anything of them is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from tradesense.core.cache.envelope import Codec

PACKED_BYTES = 128 * 1024
"""Bytes of values that are encoded in one turn of the event loop; each counts for a kibibyte more than it has."""
T = TypeVar("T")


@dataclass(slots=True)
class Packed(Generic[T]):
    """A value that can be kept."""

    value: T | None
    """As another process will read it."""
    plain: bytes
    packing: str
    payload: bytes


def pack(codec: Codec[T], value: T | None) -> Packed[T]:
    """The value as it is kept.

    :raises InvalidCacheValue: it has no MessagePack form, or is of another type.
    :raises CacheValueTooLarge: it is over 8 MiB.
    """
    plain, packing, payload = codec.encode(value)
    return Packed(codec.checked(plain), plain, packing, payload)


async def pack_many(codec: Codec[T], values: Mapping[str, T]) -> dict[str, Packed[T]]:
    """:func:`pack` for several, while others have their turn now and then."""
    packed: dict[str, Packed[T]] = {}
    done = 0
    for key, value in values.items():
        if done > PACKED_BYTES:
            await asyncio.sleep(0)
            done = 0
        one = packed[key] = pack(codec, value)
        done += len(one.plain) + 1024
    return packed
