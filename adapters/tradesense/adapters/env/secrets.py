"""Secrets from environment variables."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Self

from tradesense.adapters.env import _names
from tradesense.adapters.env.settings import EnvSettings
from tradesense.core.errors import AdapterClosed, SecretNotFound
from tradesense.core.paging import Page, check_cursor
from tradesense.core.secrets.models import StoredSecret, check_path
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext


class EnvSecretStore:
    """Reads variables as they are when they are asked for. See :class:`SecretStore`.

    The path ``team-a/db/password`` is the variable ``TRADESENSE_SECRET_TEAM_A__DB__PASSWORD``; the whole rule stands
    in :mod:`tradesense.adapters.env._names`. Every secret has version 1.
    """

    def __init__(self, settings: EnvSettings, *, environ: Mapping[str, str]) -> None:
        self._prefix = settings.prefix
        self._environ = environ
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`."""
        self._check_open()
        name = _names.variable(path)
        value = None if name is None else self._environ.get(self._prefix + name)
        if value is None:
            raise SecretNotFound(f"there is no secret {path!r}", origin="the environment", mend=self._mend(name))
        # Bytes that are not UTF-8 come from the operating system as surrogates (PEP 383).
        return StoredSecret(path=path, value=Secret(value.encode("utf-8", "surrogateescape")), version=1)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`."""
        self._check_open()
        check_cursor(cursor, check_path, prefix=prefix)
        paths = sorted(path for path in self._paths() if path.startswith(prefix))
        first = 0 if cursor is None else bisect_right(paths, cursor)
        items = tuple(paths[first : first + limit])
        return Page(items=items, cursor=items[-1] if first + limit < len(paths) else None)

    def _paths(self) -> Iterator[str]:
        for name in tuple(self._environ):
            if name.startswith(self._prefix) and (path := _names.path(name.removeprefix(self._prefix))) is not None:
                yield path

    def _check_open(self) -> None:
        if not self._open:
            raise AdapterClosed("EnvSecretStore is not open", mend="use it inside its `async with`")

    def _mend(self, name: str | None) -> str:
        return "use a path without upper-case letters" if name is None else f"set {self._prefix}{name}"


def store(settings: EnvSettings, context: AdapterContext) -> EnvSecretStore:  # noqa: ARG001  # every factory takes both
    """The factory."""
    return EnvSecretStore(settings, environ=os.environ)


_: type[SecretStore] = EnvSecretStore
