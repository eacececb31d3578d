"""The layers that settings come in, and how dynaconf lays one over the other.

Every value travels with its origin, so that a problem can name the file and line, or the variable, to mend.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dynaconf import Dynaconf  # type: ignore[import-untyped]  # dynaconf ships no types
from dynaconf.loaders.base import SourceMetadata  # type: ignore[import-untyped]  # the same

from tradesense.core.errors import Problem

Tree = dict[str, Any]
"""Nested tables; every leaf is a :class:`Value`."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PART = r"(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+)"
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_ENTRY = re.compile(rf"\s*({_DOTTED})\s*=")
_LINE = re.compile(r"at line (\d+)")


class Value:
    """A value with its origin.

    It is opaque to dynaconf, which would otherwise read a meaning into a text such as ``@int``.
    """

    __slots__ = ("builtin", "origin", "raw", "text")

    def __init__(self, raw: Any, origin: str, *, text: bool = False, builtin: bool = False) -> None:
        self.raw = raw
        self.origin = origin
        self.text = text
        """Whether it is a text that may stand for a number, a boolean or a list, as in an environment variable."""
        self.builtin = builtin
        """Whether the platform itself brings it, so that nobody has to mend it."""

    def __repr__(self) -> str:
        return f"Value(from {self.origin})"


class Layer:
    """One source of settings."""

    def __init__(self, origin: str, tree: Tree) -> None:
        self.origin = origin
        self.tree = tree

    def put(self, key: str, value: Value) -> None:
        """Set the dotted ``key``."""
        *tables, name = key.split(".")
        table: Tree = self.tree
        for part in tables:
            below: Any = table.setdefault(part, {})
            if isinstance(below, Value):
                below = table[part] = {}
            table = below
        table[name] = value


def read_toml(path: Path, origin: str, problems: list[Problem], *, builtin: bool = False) -> Layer:
    """The layer in a TOML file; what cannot be read is added to ``problems``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(_problem("settings", f"{origin} cannot be read: {reason}", origin, "make it a readable file"))
        return Layer(origin, {})
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        place = f"{origin}:{found.group(1)}" if found else origin
        problems.append(_problem("settings", "the file is not TOML", place, "mend this line; see https://toml.io"))
        return Layer(origin, {})
    return Layer(origin, _wrap(data, "", lines(text), origin, problems, builtin=builtin))


def lines(text: str) -> dict[str, int]:
    """The line on which each dotted key of a TOML text stands, as far as it can be told without parsing values."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            table = _plain(match[1]) + "."
            found.setdefault(table[:-1], number)
        elif match := _ENTRY.match(line):
            found.setdefault(table + _plain(match[1]), number)
    return found


def merge(layers: list[Layer]) -> Tree:
    """Lay the layers over each other; the last wins, key by key. A list is replaced, never added to."""
    store = Dynaconf(
        settings_files=[], environments=False, load_dotenv=False, envvar_prefix=None, core_loaders=[], loaders=[]
    )
    for layer in layers:
        source = SourceMetadata("tradesense", layer.origin)
        store.update(dict(layer.tree), loader_identifier=source, merge=True, dotted_lookup=False)
    return _plain_tree({key.lower(): value for key, value in store.as_dict().items()})


def leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Value]]:
    """Every value with its dotted key."""
    for key, value in tree.items():
        if isinstance(value, Value):
            yield prefix + key, value
        else:
            yield from leaves(value, f"{prefix}{key}.")


def find(tree: Tree, key: str) -> Any:
    """The value or table at a dotted key, or ``None``."""
    found: Any = tree
    for part in key.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(part)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]  # a tree of Any
    return found  # pyright: ignore[reportUnknownVariableType]  # the same


def _wrap(
    data: Mapping[str, Any], prefix: str, at: Mapping[str, int], origin: str, problems: list[Problem], *, builtin: bool
) -> Tree:
    tree: Tree = {}
    for key, value in data.items():
        dotted = prefix + key
        place = _place(dotted, at, origin)
        if not _NAME.fullmatch(key) or "__" in key:
            mend = "use letters, digits, single '_' and '-'"
            problems.append(_problem(dotted, f"{key!r} is not a setting's name", place, mend))
        elif isinstance(value, dict):
            tree[key] = _wrap(value, f"{dotted}.", at, origin, problems, builtin=builtin)  # pyright: ignore[reportUnknownArgumentType]  # TOML tables are Any
        else:
            tree[key] = Value(value, place, builtin=builtin)
    return tree


def _place(dotted: str, at: Mapping[str, int], origin: str) -> str:
    """The nearest line that is known: the key's own, or that of the table or inline table around it."""
    key = dotted
    while key:
        if key in at:
            return f"{origin}:{at[key]}"
        key = key.rpartition(".")[0]
    return origin


def _plain_tree(data: Mapping[str, Any]) -> Tree:
    tree: Tree = {}
    for key, value in data.items():
        if isinstance(value, Value):
            tree[key] = value
        elif isinstance(value, dict):
            tree[key] = _plain_tree(value)  # pyright: ignore[reportUnknownArgumentType]  # dynaconf's tables are Any
    return tree


def _plain(key: str) -> str:
    return ".".join(part.strip("\"'") for part in re.findall(_PART, key))


def _problem(key: str, message: str, origin: str, mend: str) -> Problem:
    return Problem(level="error", key=key, message=message, origin=origin, mend=mend)
