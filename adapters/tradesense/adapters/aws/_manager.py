"""Secrets in AWS Secrets Manager."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator
from typing import Any, Self

from tradesense.adapters.aws._client import AwsService, Reply
from tradesense.adapters.aws._errors import Refusal
from tradesense.adapters.aws._versions import (
    CURRENT,
    PENDING,
    Described,
    instant,
    number_of,
    value_of,
    version_id,
)
from tradesense.adapters.aws._writes import ABSENT, STATE, Lost, Races, Writes
from tradesense.adapters.aws.settings import SecretsManagerSettings
from tradesense.core.errors import InvalidSecretPath, SecretConflict, SecretNotFound
from tradesense.core.paging import Page
from tradesense.core.secrets.listing import page_of
from tradesense.core.secrets.models import SecretVersion, StoredSecret
from tradesense.core.secrets.ports import (
    RecoverableSecretStore,
    RotatingSecretStore,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)
from tradesense.core.sensitive import Secret

MAX_NAME = 512


class SecretsManagerStore:
    """See the Protocols of :mod:`tradesense.core.secrets.ports`.

    The current version is the one with the stage ``AWSCURRENT``, the pending one has ``AWSPENDING``, and the service
    itself lets the one before be ``AWSPREVIOUS``. A version's id holds its number, so that the service refuses the
    second writer of one number; two writers of the same value with the same number are both told that it is written.
    Versions without a stage are kept as long as the service likes, the last 24 hours at least. When a deleted secret
    is written again its earlier versions are there again.
    """

    def __init__(self, service: AwsService, settings: SecretsManagerSettings) -> None:
        self._service = service
        self._prefix = settings.prefix
        self._writes = Writes(service, settings.kms_key_id)
        self._recovery_days = settings.recovery_days

    async def __aenter__(self) -> Self:
        await self._service.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._service.__aexit__(*details)

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`."""
        return await self._read(path, VersionStage=CURRENT)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`. The service lists some moments behind, and in no order of ours."""
        names = [name async for name in self._names(self._prefix + prefix)]
        ours = (name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix))
        return page_of(ours, prefix, cursor, limit)

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:  # noqa: ARG002  # it keeps no authors
        """See :meth:`WritableSecretStore.put`. A pending version is dropped: it was made for the value before."""
        name = self._name(path)
        async with self._service.turns.writing(path):
            return await self._written(path, name, value, cas)

    async def _written(self, path: str, name: str, value: Secret, cas: int | None) -> int:
        races = Races(path, self._service.origin)
        while True:
            found = await self._described(name)
            if cas is not None and cas != _current(found):
                raise _conflict(path)
            number = races.number(found)
            try:
                await self._writes.write(name, value, number, found)
            except Lost as lost:
                races.lose(lost)
                continue
            return number

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`. It can be taken back for ``recovery_days``."""
        try:
            await self._service.call(
                "delete_secret",
                repeatable=False,
                SecretId=self._name(path),
                RecoveryWindowInDays=self._recovery_days,
            )
        except Refusal as refusal:
            raise _told(refusal, path) from refusal

    async def get_version(self, path: str, version: int) -> StoredSecret:
        """See :meth:`VersionedSecretStore.get_version`."""
        try:
            return await self._read(path, VersionId=version_id(version))
        except SecretNotFound:
            found = await self._all_versions(path)
            if found.deleted_at is not None or version not in found.ids:
                raise
        return await self._read(path, VersionId=found.ids[version])

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """See :meth:`VersionedSecretStore.versions`."""
        return (await self._all_versions(path)).listed()

    async def undelete(self, path: str) -> None:
        """See :meth:`RecoverableSecretStore.undelete`."""
        try:
            await self._service.call("restore_secret", SecretId=self._name(path))
        except Refusal as refusal:
            raise _told(refusal, path) from refusal

    async def destroy(self, path: str) -> None:
        """See :meth:`RecoverableSecretStore.destroy`."""
        name = self._name(path)
        if await self._described(name) is None:  # the service lets the forced deletion of nothing pass
            raise _not_found(path)
        try:
            await self._service.call("delete_secret", SecretId=name, ForceDeleteWithoutRecovery=True)
        except Refusal as refusal:
            raise _told(refusal, path) from refusal

    async def stage(self, path: str, value: Secret, *, by: str = "") -> int:  # noqa: ARG002  # it keeps no authors
        """See :meth:`RotatingSecretStore.stage`."""
        name = self._name(path)
        races = Races(path, self._service.origin)
        while True:
            found = await self._described(name)
            if not _current(found):
                raise _not_found(path)
            number = races.number(found)
            try:
                await self._writes.add(name, value, number, PENDING)
            except Lost as lost:
                races.lose(lost)
                continue
            return number

    async def pending(self, path: str) -> StoredSecret | None:
        """See :meth:`RotatingSecretStore.pending`."""
        found = await self._described(self._name(path))
        if found is None or not _current(found) or not found.pending:
            return None
        return await self._read(path, VersionId=found.ids[found.pending])

    async def promote(self, path: str, version: int) -> None:
        """See :meth:`RotatingSecretStore.promote`. The stage stays where it is when another one was promoted first."""
        name = self._name(path)
        found = await self._described(name)
        if found is not None and version == _current(found) and version:
            return
        if found is None or not _current(found) or version != found.pending:
            raise _conflict(path)
        try:
            await self._writes.move(name, found, version)
        except Lost as lost:
            now = await self._described(name)
            if _current(now) != version:  # else it was our own first try, whose answer was lost
                raise _conflict(path) from lost

    async def _read(self, path: str, **which: Any) -> StoredSecret:
        try:
            reply = await self._service.call("get_secret_value", SecretId=self._name(path), **which)
        except Refusal as refusal:
            raise _told(refusal, path) from refusal
        created = instant(reply.get("CreatedDate"))
        return StoredSecret(
            path=path,
            value=value_of(reply, self._service.origin),
            version=number_of(reply["VersionId"], created),
            created_at=created,
        )

    async def _described(self, name: str) -> Described | None:
        """What is known of the secret by its stages; ``None`` when there is no such secret."""
        try:
            reply = await self._service.call("describe_secret", SecretId=name)
        except Refusal as refusal:
            if refusal.reason == ABSENT:
                return None
            raise refusal.unexpected() from refusal
        stages: dict[str, builtins.list[str]] = reply.get("VersionIdsToStages") or {}
        versions = [{"VersionId": key, "VersionStages": value} for key, value in stages.items()]
        deleted_at = instant(reply.get("DeletedDate"))
        if any(number_of(key, None) == 1 and key != version_id(1) for key in stages):
            versions = (await self._version_ids(name)) or versions  # of those that others wrote the time is needed
        return Described(versions, deleted_at=deleted_at)

    async def _all_versions(self, path: str) -> Described:
        name = self._name(path)
        found = await self._described(name)
        if found is None:
            raise _not_found(path)
        return Described(await self._version_ids(name), deleted_at=found.deleted_at)

    async def _version_ids(self, name: str) -> builtins.list[dict[str, Any]]:
        found: builtins.list[dict[str, Any]] = []
        async for reply in self._pages("list_secret_version_ids", SecretId=name, IncludeDeprecated=True):
            found += reply.get("Versions", [])
        return found

    async def _names(self, prefix: str) -> AsyncGenerator[str]:
        filters: dict[str, Any] = {"Filters": [{"Key": "name", "Values": [prefix]}]} if prefix else {}
        async for reply in self._pages("list_secrets", MaxResults=100, **filters):
            for secret in reply.get("SecretList", []):
                yield secret["Name"]

    async def _pages(self, operation: str, **arguments: Any) -> AsyncGenerator[Reply]:
        more: dict[str, Any] = {}
        while True:
            try:
                reply = await self._service.call(operation, **arguments, **more)
            except Refusal as refusal:
                raise refusal.unexpected() from refusal
            yield reply
            if not reply.get("NextToken"):
                return
            more = {"NextToken": reply["NextToken"]}

    def _name(self, path: str) -> str:
        name = self._prefix + path
        if len(name) > MAX_NAME:
            raise InvalidSecretPath(
                f"with its prefix the path has {len(name)} characters, AWS takes {MAX_NAME}",
                origin=self._service.origin,
            )
        return name


def _current(found: Described | None) -> int:
    """The number of the current version, 0 where there is none."""
    return 0 if found is None or found.deleted_at is not None else found.current


def _not_found(path: str) -> SecretNotFound:
    return SecretNotFound(f"there is no secret {path!r}")


def _conflict(path: str) -> SecretConflict:
    return SecretConflict(f"the secret {path!r} has another version than the write expects", mend="read it again")


def _told(refusal: Refusal, path: str) -> Exception:
    """A secret that is marked as deleted is refused by its state."""
    return _not_found(path) if refusal.reason in {ABSENT, STATE} else refusal.unexpected()


_: type[SecretStore] = SecretsManagerStore
_writable: type[WritableSecretStore] = SecretsManagerStore
_versioned: type[VersionedSecretStore] = SecretsManagerStore
_recoverable: type[RecoverableSecretStore] = SecretsManagerStore
_rotating: type[RotatingSecretStore] = SecretsManagerStore
