"""The one type that secret values travel in."""

from __future__ import annotations

import hmac
from typing import Any, NoReturn

MASK = "**********"
"""What is shown in place of a value."""


class Secret:
    """Bytes that never show themselves: not in ``repr``, ``str``, f-strings, JSON, pickles or copies of tracebacks.

    The value leaves only through :meth:`reveal` or :meth:`reveal_bytes`, which are easy to search a code base for.
    Two secrets compare in constant time (ASVS 11.2.4).
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        if type(value) is bytes:  # most are; this way it costs next to nothing
            self._value = value
        else:
            self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> str:
        """Return the value as text.

        :raises UnicodeDecodeError: the value is not UTF-8; use :meth:`reveal_bytes`.
        """
        return self._value.decode()

    def reveal_bytes(self) -> bytes:
        """Return the value as it was given."""
        return self._value

    def __len__(self) -> int:
        """Length in bytes."""
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret in a dict is a place where it can leak by timing

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return format(MASK, format_spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied; reveal it where it is used")


def is_masked(value: Secret) -> bool:
    """Whether ``value`` is the mask that is shown in place of one, a JSON text that is, or a URL whose password is.

    Whoever writes it back was shown a mask and takes it for the value: a changed address beside it would be sent what
    the old one was trusted with.
    """
    mask = MASK.encode()
    data = value.reveal_bytes()
    return mask in data and (data.strip() == mask or b'"%b"' % mask in data or b":%b@" % mask in data)


def decode_secret(kind: type[Any], value: Any) -> Secret:
    """Text as a Secret: the ``dec_hook`` of msgspec's decoders, so that a value is wrapped before anything can show it.

    :raises TypeError: another type than Secret is wanted, or the value is no text; msgspec tells it with the field.
    :raises ValueError: the text holds half of a surrogate pair.
    """
    if kind is Secret and isinstance(value, str):
        try:
            return Secret(value)
        except UnicodeEncodeError as error:
            raise ValueError("Expected text of Unicode scalar values") from error
    raise TypeError("Expected `str`")
