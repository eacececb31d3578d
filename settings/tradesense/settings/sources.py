"""Where settings come from: the package, keys for development, the deployment's file, the environment, options."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from tradesense.core.errors import Problem
from tradesense.settings import devkeys, environment
from tradesense.settings.base import Environment
from tradesense.settings.layers import Layer, Tree, Value, find, leaves, merge, read_toml
from tradesense.settings.validate import SCHEME

LOCAL_FILE = "tradesense.local.toml"
STATE_DIR = "{state_dir}"
RESERVED = ("TRADESENSE_SECRET_", "TRADESENSE_TEST_")
"""Beginnings of variables that are no settings: secrets of the provider ``env``, and what test runs tell each other."""

_PACKAGE = Path(__file__).parent
_ENVIRONMENTS: tuple[str, ...] = get_args(Environment)


class Sources:
    """The layers of one process."""

    def __init__(self, environ: Mapping[str, str], directory: Path, options: Mapping[str, Any]) -> None:
        self._environ = environ
        self._options = _given(options)
        self._directory = directory
        self.problems: list[Problem] = []
        self.file, self._local = self._own_file()
        self.environment, self._named_by = self._choose()
        self.environment_known = self.environment in _ENVIRONMENTS
        if not self.environment_known:
            near = get_close_matches(self.environment.lower(), _ENVIRONMENTS, n=1)
            mend = f"did you mean {near[0]}?" if near else f"use one of {', '.join(_ENVIRONMENTS)}"
            self._add("environment", f"there is no environment {self.environment!r}", self._named_by, mend)

    def tree(self) -> Tree:
        """All layers, one over the other."""
        package = [self._package("default")]
        if self.environment_known:
            package.append(self._package(self.environment))
        own = [environment.implied(self._environ), self._local, self._variables(), self._options]
        tree = merge([*package, *own])
        folder = self._folder(tree)
        if (keys := self._keys(tree, folder)) is not None:
            tree = merge([*package, keys, *own])
        tree["environment"] = Value(self.environment if self.environment_known else "development", self._named_by)
        _expand(tree, str(folder))
        return tree

    def _own_file(self) -> tuple[Path | None, Layer]:
        """The deployment's file: the one that a variable names, or the one in the directory, if there is one."""
        named = self._environ.get(environment.SETTINGS_FILE, "").strip()
        path = self._directory / (named or LOCAL_FILE)
        if not named and not path.exists():
            return None, Layer(LOCAL_FILE, {})
        return path, read_toml(path, named or LOCAL_FILE, self.problems)

    def _choose(self) -> tuple[str, str]:
        """The environment's name and who gave it; a file of the deployment may, as it is read before all others."""
        if (named := environment.chosen(self._environ)) is not None:
            return named[0], environment.variable(named[1])
        value = self._local.tree.get("environment")
        if isinstance(value, Value) and isinstance(value.raw, str):
            return value.raw, value.origin
        return "development", "the default"

    def _package(self, name: str) -> Layer:
        return read_toml(_PACKAGE / f"{name}.toml", f"settings/{name}.toml", self.problems, builtin=True)

    def _variables(self) -> Layer:
        prefix = self._environ.get("TRADESENSE_SECRETS__ENV__PREFIX", "")
        inner = find(self._local.tree, "secrets.env.prefix")
        if not prefix and isinstance(inner, Value):
            prefix = str(inner.raw)
        return environment.variables(self._environ, (*RESERVED, *([prefix] if prefix else [])), self.problems)

    def _folder(self, tree: Tree) -> Path | None:
        value = tree.get("state_dir")
        if not isinstance(value, Value) or not isinstance(value.raw, str) or value.raw.startswith(SCHEME):
            return None  # what is wrong with it is told when the schema is checked
        value.raw = str((self._directory / value.raw).resolve())
        return Path(value.raw)

    def _keys(self, tree: Tree, folder: Path | None) -> Layer | None:
        """Keys for those that are missing where the platform may make them itself."""
        if all(find(tree, key) is not None for key in devkeys.KEYS):
            return None
        if self.environment == "testing":
            return devkeys.passing()
        if self.environment != "development" or folder is None:
            return None
        try:
            file = devkeys.kept(folder)
        except OSError as error:
            self._add("state_dir", f"{folder}: {error.strerror}", "the default", "name a folder that can be written")
            return None
        return read_toml(file, str(file), self.problems, builtin=True)

    def _add(self, key: str, message: str, origin: str, mend: str) -> None:
        self.problems.append(Problem(level="error", key=key, message=message, origin=origin, mend=mend))


def _given(options: Mapping[str, Any]) -> Layer:
    layer = Layer("options", {})
    for key, value in options.items():
        layer.put(key, Value(value, f"option --{key.rpartition('.')[2].replace('_', '-')}"))
    return layer


def _expand(tree: Tree, folder: str) -> None:
    for _, value in leaves(tree):
        if value.builtin and isinstance(value.raw, str):
            value.raw = value.raw.replace(STATE_DIR, folder)
