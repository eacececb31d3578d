"""Patterns of flag rules in RE2 (SECURITY R60)."""

from __future__ import annotations

from typing import Any

import re2  # type: ignore[import-untyped]  # it ships no types

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.keys import MAX_PATTERN
from tradesense.core.flags.ports import Patterns, Search
from tradesense.plugins.manifest import AdapterContext, NoSettings

_re2: Any = re2

MAX_MEMORY = 1 << 20
"""Bytes that the program of one pattern may take."""


class Re2Patterns:
    """See :class:`Patterns`."""

    def __init__(self) -> None:
        self._options: Any = _re2.Options()
        self._options.log_errors = False
        self._options.max_mem = MAX_MEMORY

    def compile(self, pattern: str) -> Search:
        """See :meth:`Patterns.compile`."""
        try:
            if len(pattern.encode()) > MAX_PATTERN:
                raise InvalidFlag(f"a pattern has at most {MAX_PATTERN} bytes")
            compiled: Any = _re2.compile(pattern, self._options)
        except (_re2.error, UnicodeEncodeError) as error:
            raise InvalidFlag(f"{pattern[:80]!r} is no pattern that RE2 takes: {_reason(error)}") from error

        def search(text: str) -> bool:
            try:
                return compiled.search(text) is not None
            except UnicodeEncodeError:
                return False  # a lone surrogate is in no text that a pattern speaks of

        return search


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def patterns(_: NoSettings, __: AdapterContext) -> Re2Patterns:
    """The factory, which the manifest names."""
    return Re2Patterns()


_: type[Patterns] = Re2Patterns
