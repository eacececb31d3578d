"""One file a secret, read each time: what is mounted may change while we run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from tradesense.core.errors import AdapterClosed, SecretDenied, SecretNotFound, SecretStoreUnavailable
from tradesense.core.paging import Page
from tradesense.core.secrets import Secret, SecretStore, StoredSecret
from tradesense.plugins import AdapterContext
from tradesense_mounted import MountedSettings

T = TypeVar("T")


class MountedSecretStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False

    async def get(self, path: str) -> StoredSecret:
        def read() -> StoredSecret:
            file = self._folder / path
            try:
                value, changed = file.read_bytes(), file.stat().st_mtime
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise SecretNotFound(f"there is no secret {path!r}") from error
            return StoredSecret(
                path=path, value=Secret(value), version=1, created_at=datetime.fromtimestamp(changed, UTC)
            )

        return await self._ask(read)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        def read() -> Page[str]:
            files = (file.relative_to(self._folder) for file in self._folder.rglob("*") if file.is_file())
            names = (file.as_posix() for file in files if not any(part.startswith("..") for part in file.parts))
            paths = sorted(name for name in names if name.startswith(prefix) and name > (cursor or ""))
            return Page(items=tuple(paths[:limit]), cursor=paths[limit - 1] if len(paths) > limit else None)

        return await self._ask(read)

    async def _ask(self, read: Callable[[], T]) -> T:
        if not self._open:
            raise AdapterClosed("MountedSecretStore is not open")
        try:
            if not await asyncio.to_thread(self._folder.is_dir):
                raise SecretStoreUnavailable(f"{self._folder} is not mounted")
            return await asyncio.to_thread(read)
        except PermissionError as error:
            raise SecretDenied(f"a file below {self._folder} may not be read") from error
        except OSError as error:
            raise SecretStoreUnavailable(f"{self._folder} cannot be read: {type(error).__name__}") from error


def make(settings: MountedSettings, _: AdapterContext) -> MountedSecretStore:
    return MountedSecretStore(Path(settings.folder))


_: type[SecretStore] = MountedSecretStore
