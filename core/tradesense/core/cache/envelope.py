"""What stands in the shared store: a format byte, then MessagePack. Nothing of it is ever executed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec

from tradesense.core.cache.models import MAX_VALUE
from tradesense.core.cache.ports import Compressor
from tradesense.core.errors import CacheValueTooLarge, InvalidCacheValue

FORMAT = 1
"""It grows when an older release could misread what a newer one writes; an entry of another format is a miss."""
PLAIN = ""
NIL = b"\xc0"
T = TypeVar("T")

_ATOMS = (bytes, str, int, float, bool, type(None), date, time, timedelta, Decimal, Enum)


class Envelope(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """A value with all that another process must know of it. Instants are seconds since 1970, UTC."""

    created: float
    """When it was written, or the making of its value began: of two entries of one key the later one counts."""
    ttl: float
    """0 of an entry whose life was ended before its time."""
    expires: float
    """By the clock of the process that wrote it."""
    keeps: float
    """When even fail-safe may no longer serve it."""
    sliding: float
    eager: float
    tags: tuple[str, ...]
    etag: str
    modified: str
    packing: str
    """The compressor's name; empty when the payload is as it is."""
    payload: bytes
    born: float = 0.0
    """When the making of the value began, where the entry was written anew since; 0 where it is ``created``."""

    @property
    def birth(self) -> float:
        """When the making of the value began: what was invalidated at or after it is no longer good."""
        return self.born or self.created


class Unreadable(Exception):
    """An entry is not what this release writes: corrupt, of a later format, or of another type."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def seal(envelope: Envelope) -> bytes:
    """The envelope as it is stored."""
    return bytes((FORMAT,)) + _encoder.encode(envelope)


def unseal(data: bytes) -> Envelope:
    """The envelope that ``data`` holds.

    :raises Unreadable: it holds none of this format.
    """
    if not data or data[0] != FORMAT:
        raise Unreadable(f"format {data[0] if data else 'missing'}, this release reads {FORMAT}")
    try:
        return _decoder.decode(memoryview(data)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError) as error:
        raise Unreadable(type(error).__name__) from error


class Codec(Generic[T]):
    """Values of one type as MessagePack, compressed from ``over`` bytes on."""

    def __init__(
        self, kind: type[T], *, compressor: Compressor, known: Mapping[str, Compressor], over: int = 4096
    ) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)
        self._compressor = compressor
        self._known = known
        self._over = over
        self.shareable = _immutable(kind)
        """Whether all callers may be handed one and the same object."""

    def encode(self, value: T | None) -> tuple[bytes, str, bytes]:
        """The encoded value, how it is packed, and the packed bytes.

        :raises InvalidCacheValue: it has no MessagePack form.
        :raises CacheValueTooLarge: it has more than 8 MiB.
        """
        try:
            plain = _encoder.encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidCacheValue(f"a value of type {type(value).__name__} has no MessagePack form") from error
        if len(plain) > MAX_VALUE:
            raise CacheValueTooLarge(f"a cache value has at most {MAX_VALUE} bytes, this one {len(plain)}")
        if len(plain) >= self._over:
            packed = self._compressor.compress(plain)
            if len(packed) < len(plain):
                return plain, self._compressor.name, packed
        return plain, PLAIN, plain

    def checked(self, plain: bytes) -> T | None:
        """What another process will read, so that this one serves nothing else.

        :raises InvalidCacheValue: it is not of this codec's type.
        """
        try:
            return self.decode(plain)
        except Unreadable as error:
            raise InvalidCacheValue(f"the value is not of the type that this cache holds ({error})") from error

    def unpack(self, envelope: Envelope) -> bytes:
        """The encoded value.

        :raises Unreadable: no compressor of this process reads it.
        """
        if envelope.packing == PLAIN:
            return envelope.payload
        compressor = self._known.get(envelope.packing)
        if compressor is None:
            raise Unreadable("packed in a way that this process does not know")
        try:
            return compressor.decompress(envelope.payload, MAX_VALUE)
        except ValueError as error:
            raise Unreadable("its packing is damaged") from error

    def decode(self, plain: bytes) -> T | None:
        """The value.

        :raises Unreadable: it is of another type, or damaged.
        """
        if plain == NIL:
            return None
        try:
            return self._decoder.decode(plain)
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError, ValueError) as error:
            raise Unreadable(type(error).__name__) from error


def _immutable(kind: Any) -> bool:
    """Whether a value of ``kind`` cannot be changed by whoever is handed it."""
    if isinstance(kind, type) and issubclass(kind, _ATOMS):
        return True
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = msgspec.structs.fields(kind)
        return bool(kind.__struct_config__.frozen) and all(_immutable(field.type) for field in fields)
    arguments = get_args(kind)
    if get_origin(kind) is tuple or (arguments and get_origin(kind) not in {list, dict, set}):
        return all(part is Ellipsis or isinstance(part, str | int) or _immutable(part) for part in arguments)
    return False
