"""Settings that name a secret instead of being one, resolved when the secrets provider is open.

``secret://PATH`` is a whole value, ``secret://PATH#FIELD`` the text in one field of a value that is a JSON object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from tradesense.core.errors import InvalidSecretPath, Problem
from tradesense.core.secrets.models import check_path
from tradesense.core.sensitive import Secret
from tradesense.settings.schema import Settings
from tradesense.settings.validate import SCHEME


def path_in(value: Any) -> str | None:
    """The path that ``value`` refers to, if it is a reference."""
    if isinstance(value, Secret) and value.reveal_bytes().startswith(SCHEME.encode()):
        return value.reveal().removeprefix(SCHEME)
    return None


def places(settings: Settings) -> dict[str, str]:
    """The dotted settings that are references, and the paths that they name."""
    return {key: path for key, value in secrets_in(settings) if (path := path_in(value)) is not None}


def references(settings: Settings) -> tuple[str, ...]:
    """Every path that some setting refers to, once."""
    return tuple(sorted(set(places(settings).values())))


def substituted(settings: Settings, values: Mapping[str, Secret]) -> Settings:
    """``settings`` with each reference replaced by the secret at its path.

    :raises KeyError: ``values`` lacks a path of :func:`references`.
    """
    made: Settings = _mapped(settings, lambda value: values[path] if (path := path_in(value)) is not None else value)
    return made


def problems(settings: Settings, origins: Mapping[str, str]) -> list[Problem]:
    """A problem for each reference that can never be resolved."""
    found: list[Problem] = []

    def add(key: str, message: str, mend: str) -> None:
        origin = origins.get(key, "settings")
        found.append(Problem(level="error", key=key, message=message, origin=origin, mend=mend))

    for key, path in places(settings).items():
        try:
            check_path(path.partition("#")[0])
        except InvalidSecretPath:
            add(key, "the reference names no valid secret path", "write secret://, then segments joined by '/'")
            continue
        if key.startswith("secrets."):
            add(key, "the secrets provider needs it before it can read any secret", "give the value itself")
        elif settings.secrets.provider == "sql" and key.startswith(("database.", "audit.")):
            add(key, "the secrets provider needs the database, and this setting with it", "give the value itself")
    return found


def secrets_in(settings: Settings) -> Iterator[tuple[str, Secret]]:
    """Every secret value in the settings with its dotted key, empty ones included."""
    return _secrets(settings, "")


def _secrets(value: Any, key: str) -> Iterator[tuple[str, Secret]]:
    if isinstance(value, Secret):
        yield key.removeprefix("adapters."), value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _secrets(getattr(value, name), f"{key}.{name}" if key else name)
    elif isinstance(value, dict):
        for name, below in value.items():  # pyright: ignore[reportUnknownVariableType]  # sections hold anything
            yield from _secrets(below, f"{key}.{name}")


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, msgspec.Struct):
        fields = {name: _mapped(getattr(value, name), change) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, dict):
        return {name: _mapped(below, change) for name, below in value.items()}  # pyright: ignore[reportUnknownVariableType]  # sections hold anything
    return change(value)
