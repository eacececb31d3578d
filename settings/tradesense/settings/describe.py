"""The settings as a person reads them: every value with its origin, its default and what it is for."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from textwrap import dedent
from typing import Any

import msgspec

from tradesense.core.sensitive import MASK, Secret
from tradesense.settings.environment import COMMON, PREFIX
from tradesense.settings.load import Loaded
from tradesense.settings.references import path_in
from tradesense.settings.sections import adapter_settings, chosen, sealed
from tradesense.settings.validate import SCHEME, in_words

UNREAD = "no adapter that is chosen reads it"


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. No secret is in it."""

    key: str
    value: Any
    origin: str
    default: Any = None
    accepts: str = ""
    """What may stand there, in words."""
    about: str = ""
    """Its documentation."""
    variables: tuple[str, ...] = ()
    """The environment variables that set it."""


def describe(loaded: Loaded) -> list[Described]:
    """All settings by key: the platform's, and those of every adapter that is chosen or has a section."""
    found = {one.key: one for one in _fields(loaded.settings, "", loaded.origins) if not one.key.startswith("adapters")}
    offers, _ = chosen(loaded.settings, loaded.plugins.registry, loaded.origins)
    for key, offer in offers.items():
        if key != "secrets.key_encryption" or sealed(offers):
            section = adapter_settings(loaded.settings, offer.adapter, origins=loaded.origins)
            prefix = f"{offer.adapter.settings_section}."
            found |= {one.key: one for one in _fields(section, prefix, loaded.origins)}
    for section, values in loaded.settings.adapters.items():
        for name, value in values.items():
            key = f"{section}.{name}"
            origin = loaded.origins.get(key, "the default")
            found.setdefault(key, Described(key=key, value=shown(value), origin=origin, about=UNREAD))
    return [found[key] for key in sorted(found)]


def shown(value: Any) -> Any:
    """``value`` with every secret masked; a reference is no secret."""
    if isinstance(value, Secret):
        path = path_in(value)
        return f"{SCHEME}{path}" if path is not None else (MASK if value else "")
    if isinstance(value, msgspec.Struct):
        return {name: shown(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {name: shown(below) for name, below in value.items()}  # pyright: ignore[reportUnknownVariableType]  # sections hold anything
    if isinstance(value, list | tuple | set | frozenset):
        return [shown(below) for below in value]  # pyright: ignore[reportUnknownVariableType]  # the same
    return value


def _fields(struct: msgspec.Struct, prefix: str, origins: Mapping[str, str]) -> Iterator[Described]:
    texts = _documentation(type(struct))
    for field in msgspec.structs.fields(struct):
        key = f"{prefix}{field.name}"
        value = getattr(struct, field.name)
        if isinstance(value, msgspec.Struct):
            yield from _fields(value, f"{key}.", origins)
            continue
        yield Described(
            key=key,
            value=shown(value),
            origin=origins.get(key, "the default"),
            default=None if field.required else shown(_default(field)),
            accepts=in_words(field.type),
            about=texts.get(field.name, ""),
            variables=_variables(key),
        )


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default


def _variables(key: str) -> tuple[str, ...]:
    own = PREFIX + key.upper().replace(".", "__")
    return (own, *(name for name, target in COMMON.items() if target == key))


@lru_cache
def _documentation(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The texts below the fields in the source of ``kind``; none where there is no source."""
    try:
        tree = ast.parse(dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    texts: dict[str, str] = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = below.value.value if isinstance(below.value, ast.Constant) else None
            if isinstance(text, str):
                texts[field.target.id] = " ".join(inspect.cleandoc(text).replace("``", "`").split())
    return texts
