"""A file of definitions: ours or flagd's, read and checked as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Literal, cast

import msgspec

from tradesense.adapters.local.settings import FlagFileSettings
from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.checking import check_flag, check_segment
from tradesense.core.flags.flagd import document
from tradesense.core.flags.graph import Graph
from tradesense.core.flags.models import Flag, Segment
from tradesense.core.flags.ports import Search
from tradesense.core.flags.toolkit import Toolkit

MAX_BYTES = 64 * 1024 * 1024
MOST = 20
"""Faults that are told at once."""

Sign = tuple[int, int, int, int]
"""What is another where the file is another: its device, its number, its size, and when it was changed."""


class Native(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Our own document."""

    flags: tuple[Flag, ...] = ()
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """A file that could be read. Definitions are kept encoded."""

    flags: Mapping[str, bytes]
    segments: Mapping[str, bytes]
    generation: int
    changed_at: datetime


class DefinitionFile:
    """The file. Its methods block."""

    def __init__(self, settings: FlagFileSettings) -> None:
        self._path = Path(settings.path)
        self._form = settings.format
        self._fractional: Literal[1, 2] = settings.generation

    @property
    def place(self) -> str:
        """The path, for people."""
        return str(self._path)

    def sign(self) -> Sign:
        """Look at the file without reading it.

        :raises OSError: it is not there, or may not be looked at.
        """
        found = self._path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def read(self) -> Content:
        """The file, where all of it can be evaluated.

        :raises OSError: it cannot be read.
        :raises InvalidFlag: it is no such document, or has a definition that cannot be evaluated; the message names key
            and path of each fault.
        """
        with self._path.open("rb") as file:
            changed = os.fstat(file.fileno()).st_mtime
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise InvalidFlag(f"it has over {MAX_BYTES} bytes")
        found = self._document(text)
        _check(found)
        return Content(
            flags={flag.key: msgspec.json.encode(flag) for flag in found.flags},
            segments={segment.key: msgspec.json.encode(segment) for segment in found.segments},
            generation=int.from_bytes(blake2b(text, digest_size=7).digest()),
            changed_at=datetime.fromtimestamp(changed, UTC),
        )

    def _document(self, text: bytes) -> Native:
        try:
            data = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidFlag(f"it is not JSON: {error}") from error
        if self._form == "flagd" or (self._form == "auto" and _is_flagd(data)):
            return Native(document.read(text, generation=self._fractional))
        try:
            if isinstance(data, list):
                return Native(msgspec.convert(data, tuple[Flag, ...]))
            return msgspec.convert(data, Native)
        except msgspec.ValidationError as error:
            raise InvalidFlag(f"it does not fit: {error}") from error


def _is_flagd(data: object) -> bool:
    return isinstance(data, dict) and isinstance(cast("dict[str, object]", data).get("flags"), dict)


class _AnyPattern:
    """Patterns are left to the engine that evaluates them: a flag with one that is none is out of order by itself."""

    def compile(self, pattern: str) -> Search:
        """See :meth:`Patterns.compile`."""
        return lambda text: pattern in text


_TOOLKIT = Toolkit(now=lambda: 0.0, patterns=_AnyPattern())


def _check(found: Native) -> None:
    """Refuse what cannot be evaluated, alone or together.

    :raises InvalidFlag: with the key and the path of each fault.
    """
    faults: list[tuple[str, str]] = []
    _unique("flag", [flag.key for flag in found.flags], faults)
    _unique("segment", [segment.key for segment in found.segments], faults)
    graph = Graph({flag.key: flag for flag in found.flags}, {one.key: one for one in found.segments})
    for flag in found.flags:
        faults += _faults(flag.key, partial(check_flag, flag, _TOOLKIT), partial(graph.check_flag, flag))
    for segment in found.segments:
        checks = partial(check_segment, segment, _TOOLKIT), partial(graph.check_segment, segment)
        faults += _faults(segment.key, *checks)
    if faults:
        raise InvalidFlag(faults=faults[:MOST])


def _faults(key: str, *checks: Callable[[], object]) -> Iterator[tuple[str, str]]:
    for check in checks:
        try:
            check()
        except InvalidFlag as error:
            yield from ((f"{key}.{path}", text) for path, text in error.faults or (("$", error.detail),))


def _unique(kind: str, keys: Sequence[str], faults: list[tuple[str, str]]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            faults.append((key, f"there are two {kind}s of this key"))
        seen.add(key)
