"""Gathering what is wrong with a definition, each fault with its path."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.keys import MAX_ENCODED, MAX_NAME, MAX_WHOLE

MOST = 100
"""Faults that are told at once."""


def is_name(value: str) -> bool:
    """Whether it has 1 to 200 printable characters."""
    return 1 <= len(value) <= MAX_NAME and value.isprintable()


class Faults:
    """The faults of one definition, in the order in which they were found."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def add(self, path: str, message: str) -> None:
        """Note a fault."""
        self.found.append((path, message))

    def unless(self, holds: bool, path: str, message: str) -> bool:  # noqa: FBT001  # it reads as a sentence
        """Note a fault unless ``holds``, which is returned."""
        if not holds:
            self.add(path, message)
        return holds

    def numbers(self, value: Any, path: str) -> None:
        """Numbers are finite, and whole ones what JavaScript can hold."""
        for number in _numbers(value):
            if isinstance(number, int) and abs(number) > MAX_WHOLE:
                self.add(path, "a whole number is within -2^53 to 2^53; write it as a text")
                return
            if not isinstance(number, int) and not math.isfinite(number):
                self.add(path, "a number is finite")
                return

    def name(self, value: str, path: str, *, what: str, empty: bool = False) -> None:
        """A name has 1 to 200 printable characters; none, where ``empty`` is allowed."""
        if not (empty and not value) and not is_name(value):
            self.add(path, f"{value[:80]!r} is not {what}: use 1 to {MAX_NAME} printable characters")

    def size(self, definition: msgspec.Struct) -> None:
        """A definition is JSON of at most 64 KiB."""
        try:
            size = len(msgspec.json.encode(definition))
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            self.add("$", "a definition must be JSON")
            return
        self.unless(size <= MAX_ENCODED, "$", f"a definition has at most {MAX_ENCODED} bytes of JSON, this one {size}")

    def check(self) -> None:
        """Raise if there is a fault.

        :raises InvalidFlag: with all of them.
        """
        if self.found:
            raise InvalidFlag(faults=self.found[:MOST])


def _numbers(value: Any) -> Iterator[int | float]:
    """All numbers in a value, however deep."""
    left: list[Any] = [value]
    while left:
        one: Any = left.pop()
        if isinstance(one, dict):
            left.extend(cast("dict[str, Any]", one).values())
        elif isinstance(one, list | tuple):
            left.extend(cast("Sequence[Any]", one))
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield one
