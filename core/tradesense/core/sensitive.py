"""The one type that secret values travel in."""

from __future__ import annotations

import hmac
from typing import NoReturn

MASK = "**********"


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
