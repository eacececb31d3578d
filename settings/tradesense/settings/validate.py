"""A tree of values against a Struct, field by field, so that every problem is found and none hides another."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from tradesense.core.errors import ConfigurationError, Problem
from tradesense.core.sensitive import Secret
from tradesense.settings.environment import PREFIX
from tradesense.settings.layers import Value

SCHEME = "secret://"
"""How a value begins that names a secret instead of being one."""

_SEQUENCES = (tuple, list, set, frozenset)
_GIVE = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Secret: "a text",
    tuple: "a list",
    list: "a list",
    set: "a list",
    frozenset: "a list",
    dict: "a table",
}


class Checked:
    """What came of checking one table: the fields that are right, and what is wrong with the others."""

    def __init__(self, kind: type[msgspec.Struct], *, prefix: str, problems: list[Problem]) -> None:
        self._prefix = prefix
        self._problems = problems
        self._types = {field.name: field.type for field in msgspec.structs.fields(kind)}
        self._required = [field.name for field in msgspec.structs.fields(kind) if field.required]
        self.fields: dict[str, Any] = {}

    def read(self, table: Mapping[str, Any]) -> None:
        """Check every entry of ``table``."""
        for name, entry in table.items():
            if name not in self._types:
                self._unknown(name, entry)
                continue
            if (kind := _struct_in_table(self._types[name])) is not None and isinstance(entry, dict):
                self._tables(name, kind, entry)  # pyright: ignore[reportUnknownArgumentType]  # a tree of Any
                continue
            kind = struct_in(self._types[name])
            if kind is not None and isinstance(entry, dict):
                inner: Any = check(kind, entry, prefix=f"{self._prefix}{name}.", problems=self._problems)  # pyright: ignore[reportUnknownArgumentType]  # a tree of Any
                if inner is not None:
                    self.fields[name] = inner
            else:
                self._leaf(name, entry)

    def _tables(self, name: str, kind: type[msgspec.Struct], entry: Mapping[str, Any]) -> None:
        """Check tables that have names of their own, as in ``[http.limits.NAME]``."""
        names = get_args(self._types[name])[0]
        found: dict[str, Any] = {}
        for own, table in entry.items():
            place = f"{name}.{own}"
            try:
                msgspec.convert(own, names)
            except msgspec.ValidationError:
                self._add(place, "the name is not valid", first_origin(table), "use small letters, digits, - and _")
                continue
            if not isinstance(table, dict):
                self._add(place, "expected a table", first_origin(table), f"write a section [{self._prefix}{place}]")
                continue
            inner: Any = check(kind, table, prefix=f"{self._prefix}{place}.", problems=self._problems)  # pyright: ignore[reportUnknownArgumentType]  # a tree of Any
            if inner is not None:
                found[own] = inner
        self.fields[name] = found

    def missing(self, table: Mapping[str, Any]) -> bool:
        """Whether a required field has no value; a problem is added for each that ``table`` does not name."""
        for name in self._required:
            if name not in table:
                self._add(name, "it is needed and not set", first_origin(table), _set(f"{self._prefix}{name}"))
        return any(name not in self.fields for name in self._required)

    def _leaf(self, name: str, entry: Any) -> None:
        wanted = self._types[name]
        if isinstance(entry, Value):
            raw, origin, text = entry.raw, entry.origin, entry.text
        else:
            raw, origin, text = plain(entry), first_origin(entry), False
        if isinstance(raw, str) and raw.startswith(SCHEME) and not holds_secret(wanted):
            self._add(name, "only a setting that holds a secret may be a reference to one", origin, "write the value")
            return
        try:
            self.fields[name] = convert(raw, wanted, text=text)
        except msgspec.ValidationError as error:
            self._add(name, _sentence(error), origin, _mend(wanted, raw))

    def _unknown(self, name: str, entry: Any) -> None:
        near = get_close_matches(name, self._types, n=3, cutoff=0.5)
        mend = f"did you mean {' or '.join(near)}?" if near else f"use one of {', '.join(sorted(self._types))}"
        self._add(name, "there is no such setting", first_origin(entry), mend)

    def _add(self, name: str, message: str, origin: str, mend: str) -> None:
        key = f"{self._prefix}{name}"
        self._problems.append(Problem(level="error", key=key, message=message, origin=origin, mend=mend))


def check(
    kind: type[msgspec.Struct],
    table: Mapping[str, Any],
    *,
    prefix: str = "",
    problems: list[Problem],
) -> Any:
    """An instance of ``kind`` from ``table``, made of what is right in it; what is wrong is added to ``problems``.

    It is ``None`` where a required field is missing or wrong, or the Struct's ``__post_init__`` refuses the whole: by
    a ``ConfigurationError`` whose ``origin`` is the dotted setting at fault, or by a ``ValueError`` about the section.
    """
    checked = Checked(kind, prefix=prefix, problems=problems)
    checked.read(table)
    if checked.missing(table):
        return None
    try:
        return kind(**checked.fields)
    except ConfigurationError as error:
        key = error.origin or prefix.removesuffix(".")
        origin = first_origin(table.get(key.removeprefix(prefix), table))
        problems.append(Problem(level="error", key=key, message=error.detail, origin=origin, mend=error.mend))
        return None
    except (TypeError, ValueError) as error:
        key = prefix.removesuffix(".") or "settings"
        mend = f"mend the section [{key}]"
        problems.append(Problem(level="error", key=key, message=str(error), origin=first_origin(table), mend=mend))
        return None


def convert(raw: Any, wanted: Any, *, text: bool) -> Any:
    """``raw`` as the type ``wanted``; a ``text`` may stand for a number, a boolean, a list or a table.

    :raises msgspec.ValidationError: it is not one. The message holds no value, but for one outside an enumeration.
    """
    if text and isinstance(raw, str):
        raw = _parse(raw, wanted)
    made = msgspec.convert(raw, wanted, strict=not text, dec_hook=_secret)
    if isinstance(made, float) and not math.isfinite(
        made
    ):  # no bound refuses it: it compares as neither over nor under
        raise msgspec.ValidationError("Expected a finite number")
    return made


def struct_in(wanted: Any) -> type[msgspec.Struct] | None:
    """The Struct that ``wanted`` is, may be, or annotates."""
    for kind in _members(wanted):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return kind
    return None


def _struct_in_table(wanted: Any) -> type[msgspec.Struct] | None:
    """The Struct that every entry of the table ``wanted`` is."""
    return struct_in(get_args(wanted)[1]) if get_origin(wanted) is dict else None


def holds_secret(wanted: Any) -> bool:
    """Whether values of the type ``wanted`` are, or hold, a :class:`Secret`."""
    return wanted is Secret or any(holds_secret(part) for part in get_args(wanted))


def plain(entry: Any) -> Any:
    """A tree of values as plain data."""
    if isinstance(entry, Value):
        return entry.raw
    if isinstance(entry, dict):
        return {key: plain(value) for key, value in entry.items()}  # pyright: ignore[reportUnknownVariableType]  # a tree of Any
    return entry


def first_origin(entry: Any) -> str:
    """The origin of the first value in a tree."""
    if isinstance(entry, Value):
        return entry.origin
    if isinstance(entry, Mapping):
        for below in entry.values():  # pyright: ignore[reportUnknownVariableType]  # a tree of Any
            return first_origin(below)
    return "settings"


def _members(wanted: Any) -> tuple[Any, ...]:
    origin = get_origin(wanted)
    if origin is Annotated:
        return _members(get_args(wanted)[0])
    if origin in {Union, types.UnionType}:
        return tuple(member for part in get_args(wanted) for member in _members(part))
    return (wanted,)


def _parse(raw: str, wanted: Any) -> Any:
    """A text as what it stands for, where ``wanted`` is a list or a table; msgspec does numbers and booleans."""
    kinds = {get_origin(member) or member for member in _members(wanted)}
    start = raw.lstrip()[:1]
    if (start == "[" and not kinds.isdisjoint(_SEQUENCES)) or (start == "{" and dict in kinds):
        try:
            return msgspec.json.decode(raw)
        except msgspec.DecodeError:
            raise msgspec.ValidationError("Expected JSON") from None
    if not kinds.isdisjoint(_SEQUENCES) and str not in kinds:
        return [part.strip() for part in raw.split(",") if part.strip()]
    return raw


def _secret(kind: type, raw: Any) -> Any:
    if kind is Secret and isinstance(raw, str | bytes):
        return Secret(raw)
    if isinstance(raw, kind):
        return raw
    raise msgspec.ValidationError(f"Expected `{'str' if kind is Secret else kind.__name__}`")


def _sentence(error: msgspec.ValidationError) -> str:
    text = str(error).split(" - at `")[0].replace("`", "")
    return text[:1].lower() + text[1:]


def _set(key: str) -> str:
    return f"set it in a file, or by {PREFIX}{key.upper().replace('.', '__')}"


def _mend(wanted: Any, raw: Any) -> str:
    if names := _names(wanted):
        near = get_close_matches(str(raw).lower(), names, n=1, cutoff=0.5)
        return f"did you mean {near[0]}?" if near else f"use {in_words(wanted)}"
    return f"give {in_words(wanted)}"


def in_words(wanted: Any) -> str:
    """What values of the type ``wanted`` are, as in ``a whole number, at least 1``."""
    if names := _names(wanted):
        return f"one of {', '.join(names)}"
    kinds = [get_origin(member) or member for member in _members(wanted)]
    return (" or ".join(dict.fromkeys(_GIVE[kind] for kind in kinds if kind in _GIVE)) or "another value") + _bounds(
        wanted
    )


def _names(wanted: Any) -> list[str]:
    return [str(n) for member in _members(wanted) if get_origin(member) is Literal for n in get_args(member)]


def _bounds(wanted: Any) -> str:
    words = {"ge": "at least", "gt": "over", "le": "at most", "lt": "under"}
    for part in (wanted, *get_args(wanted)):
        for meta in get_args(part)[1:] if get_origin(part) is Annotated else ():
            limits = {word: getattr(meta, name, None) for name, word in words.items()}
            if found := [f"{word} {limit}" for word, limit in limits.items() if limit is not None]:
                return ", " + " and ".join(found)
    return ""
