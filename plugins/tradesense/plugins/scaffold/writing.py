"""Filling in the templates of a new plugin."""

from __future__ import annotations

import re
from importlib.metadata import entry_points, version
from importlib.resources import files
from pathlib import Path
from string import Template

from tradesense.core.errors import InvalidInput
from tradesense.plugins.manager import GROUP
from tradesense.plugins.manifest import PORT_API

ROOMS = ("cache", "secrets")
"""The rooms that there are templates for."""
MAX_NAME = 40

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


def write(room: str, name: str, target: Path) -> list[Path]:
    """Write the distribution ``tradesense-NAME`` below the folder ``target`` and return its files.

    It offers one adapter, called ``name``, for the first port of ``room``, and a test that runs the port's contract
    suite over it.

    :param name: lower-case letters, digits and single hyphens, at most 40 characters, beginning with a letter.
    :raises InvalidInput: there is no template for the room, the name is not valid or taken by an installed plugin, or
        the folder exists already. Nothing was written then.
    """
    _check(room, name)
    folder = target / f"tradesense-{name}"
    if folder.exists():
        raise InvalidInput(f"{folder} exists already", mend="choose another name, or move it away")
    values = _values(room, name)
    package = folder / "src" / values["module"]
    texts = {
        folder / "pyproject.toml": _fill("pyproject.toml", values),
        folder / "README.md": _fill("README.md", values),
        package / "__init__.py": _fill(f"{room}/__init__.py", values),
        package / f"{room}.py": _fill(f"{room}/{room}.py", values),
        package / "py.typed": "",
        folder / "tests" / "test_contract.py": _fill(f"{room}/test_contract.py", values),
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(texts)


def _check(room: str, name: str) -> None:
    if room not in ROOMS:
        raise InvalidInput(f"there is no template for {room!r}", mend=f"use one of {', '.join(ROOMS)}")
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot name a plugin",
            mend=f"use lower-case letters, digits and single hyphens, at most {MAX_NAME}, as in acme-vault",
        )
    taken = {point.name for point in entry_points(group=GROUP)}
    if name in taken:
        raise InvalidInput(f"a plugin called {name!r} is installed already", mend="choose another name")


def _values(room: str, name: str) -> dict[str, str]:
    module = f"tradesense_{name.replace('-', '_')}"
    words = [word.capitalize() for word in name.split("-")]
    return {
        "room": room,
        "name": name,
        "distribution": f"tradesense-{name}",
        "module": module,
        "prefix": "".join(words),
        "title": " ".join(words),
        "upper": room.upper(),
        "api": str(PORT_API),
        "tradesense": version("tradesense"),
    }


def _fill(template: str, values: dict[str, str]) -> str:
    text = (files("tradesense.plugins.scaffold") / "templates" / f"{template}.tmpl").read_text()
    return Template(text).substitute(values)
