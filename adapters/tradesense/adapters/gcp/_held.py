"""One secret as Secret Manager holds it: what its aliases name, and how they are moved."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, cast

from google.api_core.exceptions import Aborted, AlreadyExists, FailedPrecondition, NotFound
from google.cloud import secretmanager_v1 as sm

from tradesense.adapters.gcp._aliases import Aliases
from tradesense.adapters.gcp._client import SecretManager
from tradesense.adapters.gcp._names import secret_id
from tradesense.adapters.gcp._values import listed, number_of
from tradesense.adapters.gcp.settings import GcpSettings
from tradesense.core.errors import SecretConflict, SecretNotFound, SecretStoreUnavailable
from tradesense.core.secrets.models import VersionState

PAGE = 250
RACES = 100
"""How often one write looks again because the secret has changed meanwhile."""
State = sm.SecretVersion.State


class Held:
    """Secrets with their aliases, by path or by what was read of them before."""

    def __init__(self, manager: SecretManager, settings: GcpSettings) -> None:
        self.manager = manager
        self._prefix = settings.prefix
        self._replication: dict[str, Any] = {"automatic": {}}
        if settings.replicas:
            self._replication = {"user_managed": {"replicas": [{"location": place} for place in settings.replicas]}}
        self._regional = bool(settings.location)

    async def secret(self, path: str) -> sm.Secret:
        """The secret, whatever its versions.

        :raises SecretNotFound: there is none.
        """
        try:
            return cast("sm.Secret", await self.manager.call("get_secret", {"name": self.name(path)}))
        except NotFound as error:
            raise not_found(path) from error

    async def aliases(self, path: str) -> Aliases:
        """Its aliases.

        :raises SecretNotFound: there is none.
        """
        return Aliases.of(await self.secret(path))

    async def aliases_or_new(self, name: str) -> Aliases:
        """Those of the secret, which is made if it is not there."""
        parent, _, new = name.rpartition("/secrets/")
        secret: dict[str, Any] = {} if self._regional else {"replication": self._replication}
        for _ in range(RACES):
            try:
                return Aliases.of(await self.manager.call("get_secret", {"name": name}))
            except NotFound:
                pass
            try:
                request = {"parent": parent, "secret_id": new, "secret": secret}
                return Aliases.of(await self.manager.call("create_secret", request, repeatable=False))
            except AlreadyExists:
                continue
        raise contended(new)

    async def current(self, aliases: Aliases) -> int:
        """The number of the current version, 0 where there is none."""
        if not aliases.foreign:
            return aliases.current
        try:
            found = await self.manager.call("get_secret_version", {"name": f"{aliases.name}/versions/latest"})
        except NotFound:
            return 0
        return number_of(found.name) if found.state == State.ENABLED else 0

    async def adopt(self, aliases: Aliases, current: int) -> bool:
        """Let an alias name what is current, so that a version can be added beside it; false when that was too late."""
        if not aliases.foreign or not current:
            return True
        await self.point(aliases, aliases.having(current=current))
        return False

    async def point(self, aliases: Aliases, wanted: Mapping[str, int]) -> bool:
        """Move the aliases, unless the secret has changed since they were read."""
        secret = {"name": aliases.name, "etag": aliases.etag, "version_aliases": dict(wanted)}
        request = {"secret": secret, "update_mask": {"paths": ["version_aliases"]}}
        try:
            await self.manager.call("update_secret", request)
        except (Aborted, FailedPrecondition, NotFound):
            return False
        return True

    async def withdraw(self, path: str, aliases: Aliases, versions: Sequence[int]) -> None:
        """Let no alias of ours name one of ``versions`` as current or pending."""
        current = await self.current(aliases)
        pending = 0 if aliases.pending in versions else aliases.pending
        if current and current in versions:
            wanted = aliases.having(pending=pending, withdrawn=current)
        elif pending != aliases.pending:
            wanted = aliases.having(current=current, pending=pending)
        else:
            return
        if not await self.point(aliases, wanted):
            raise contended(path)

    async def marked(
        self, path: str, versions: Sequence[int], *, destroying: bool = False
    ) -> tuple[Aliases, dict[int, VersionState]]:
        """What is known of the secret, where each of ``versions`` exists."""
        aliases = await self.aliases(path)
        states = {one.version: one.state for one in listed(await self.all(aliases.name), 0, 0)}
        for version in versions:
            if version not in states or (states[version] is VersionState.DESTROYED and not destroying):
                raise not_found(path)
        return aliases, states

    async def all(self, name: str) -> builtins.list[sm.SecretVersion]:
        """Every version of a secret, by its name."""
        request: dict[str, Any] = {"parent": name, "page_size": PAGE}
        return [version async for version in each(self.manager, "list_secret_versions", request)]

    async def change(self, method: str, name: str, version: int) -> None:
        """Disable, enable or destroy a version."""
        await self.manager.call(method, {"name": f"{name}/versions/{version}"})

    async def drop(self, name: str, number: int) -> None:
        """Destroy a version that is no longer wanted, if there is one."""
        if number:
            try:
                await self.change("destroy_secret_version", name, number)
            except (NotFound, FailedPrecondition):
                return

    def name(self, path: str) -> str:
        """The secret's full name.

        :raises InvalidSecretPath: it would be too long.
        """
        return f"{self.manager.parent}/secrets/{secret_id(self._prefix, path)}"


async def each(manager: SecretManager, method: str, request: dict[str, Any]) -> AsyncGenerator[Any]:
    """What a listing holds, page after page."""
    field = method.removeprefix("list_secret_").removeprefix("list_")
    more: dict[str, str] = {}
    while True:
        page = await manager.call(method, request | more)
        for one in getattr(page, field):
            yield one
        if not page.next_page_token:
            return
        more = {"page_token": page.next_page_token}


def not_found(path: str) -> SecretNotFound:
    return SecretNotFound(f"there is no secret {path!r}, or no such version of it")


def conflict(path: str) -> SecretConflict:
    return SecretConflict(f"the secret {path!r} has another version than the write expects", mend="read it again")


def contended(path: str) -> SecretStoreUnavailable:
    return SecretStoreUnavailable(
        f"the secret {path!r} is changed by others again and again", origin="secrets.gcp", mend="try again"
    )
