"""Secrets as encrypted parameters in AWS Systems Manager."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator
from typing import Any, Self

from tradesense.adapters.aws._client import AwsService, Reply
from tradesense.adapters.aws._errors import Refusal
from tradesense.adapters.aws._versions import EMPTY, instant
from tradesense.adapters.aws.settings import ParameterStoreSettings
from tradesense.core.errors import InvalidInput, InvalidSecretPath, SecretNotFound, SecretStoreMalformed, SecretTooLarge
from tradesense.core.paging import Page
from tradesense.core.secrets.listing import page_of
from tradesense.core.secrets.models import SecretVersion, StoredSecret
from tradesense.core.secrets.ports import SecretStore, VersionedSecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret

MAX_LEVELS = 15
MAX_BYTES = {"Standard": 4096, "Advanced": 8192, "Intelligent-Tiering": 8192}
_RESERVED = ("aws", "ssm")
_ABSENT = frozenset({"ParameterNotFound", "ParameterVersionNotFound"})
_TYPE = "SecureString"


class ParameterStore:
    """See the Protocols of :mod:`tradesense.core.secrets.ports`. The service keeps the last 100 versions.

    A deleted parameter is gone, and its name begins to count anew.
    """

    def __init__(self, service: AwsService, settings: ParameterStoreSettings) -> None:
        self._service = service
        self._prefix = settings.prefix
        self._tier = settings.tier
        self._key = {"KeyId": settings.kms_key_id} if settings.kms_key_id else {}

    async def __aenter__(self) -> Self:
        await self._service.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._service.__aexit__(*details)

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`."""
        return await self._read(path, self._name(path))

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`."""
        begins = [{"Key": "Name", "Option": "BeginsWith", "Values": [self._prefix + prefix]}]
        names: builtins.list[str] = []
        async for reply in self._pages("describe_parameters", ParameterFilters=begins, MaxResults=50):
            names += [parameter["Name"] for parameter in reply.get("Parameters", [])]
        ours = (name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix))
        return page_of(ours, prefix, cursor, limit)

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:  # noqa: ARG002  # it declares neither
        """See :meth:`WritableSecretStore.put`.

        :raises InvalidInput: the value is no text.
        :raises SecretTooLarge: the tier does not hold so much.
        """
        name, text = self._name(path), self._text(value)
        try:
            # Writing the same twice makes one version too many and harms nobody, but its number would not be ours.
            reply = await self._service.call(
                "put_parameter",
                repeatable=False,
                Name=name,
                Value=text,
                Type=_TYPE,
                Overwrite=True,
                Tier=self._tier,
                **self._key,
            )
        except Refusal as refusal:
            raise refusal.unexpected() from refusal
        return int(reply["Version"])

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`. It cannot be taken back."""
        try:
            await self._service.call("delete_parameter", repeatable=False, Name=self._name(path))
        except Refusal as refusal:
            raise self._told(refusal, path) from refusal

    async def get_version(self, path: str, version: int) -> StoredSecret:
        """See :meth:`VersionedSecretStore.get_version`."""
        if version < 1:
            raise _not_found(path)
        return await self._read(path, f"{self._name(path)}:{version}")

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """See :meth:`VersionedSecretStore.versions`."""
        found: builtins.list[dict[str, Any]] = []
        try:
            async for reply in self._pages("get_parameter_history", Name=self._name(path), MaxResults=50):
                found += reply.get("Parameters", [])
        except Refusal as refusal:
            raise self._told(refusal, path) from refusal
        found.sort(key=lambda one: int(one["Version"]))
        return tuple(
            SecretVersion(
                version=int(one["Version"]), created_at=instant(one.get("LastModifiedDate")), current=one is found[-1]
            )
            for one in found
        )

    async def _read(self, path: str, name: str) -> StoredSecret:
        try:
            reply = await self._service.call("get_parameter", Name=name, WithDecryption=True)
        except Refusal as refusal:
            raise self._told(refusal, path) from refusal
        parameter: dict[str, Any] = reply.get("Parameter") or {}
        text = parameter.get("Value")
        if not isinstance(text, str):
            raise SecretStoreMalformed("the secret provider's answer holds no value", origin=self._service.origin)
        value = Secret(text)
        return StoredSecret(
            path=path,
            value=Secret("") if value == Secret(EMPTY) else value,
            version=int(parameter["Version"]),
            created_at=instant(parameter.get("LastModifiedDate")),
        )

    async def _pages(self, operation: str, **arguments: Any) -> AsyncGenerator[Reply]:
        more: dict[str, Any] = {}
        while True:
            reply = await self._service.call(operation, **arguments, **more)
            yield reply
            if not reply.get("NextToken"):
                return
            more = {"NextToken": reply["NextToken"]}

    def _name(self, path: str) -> str:
        name = self._prefix + path
        if name.count("/") > MAX_LEVELS:
            raise InvalidSecretPath(
                f"with its prefix the path has {name.count('/')} levels, Parameter Store takes {MAX_LEVELS}",
                origin=self._service.origin,
            )
        if name.lower().lstrip("/").startswith(_RESERVED):
            raise InvalidSecretPath(
                "names in Parameter Store may not begin with 'aws' or 'ssm'",
                origin=f"{self._service.origin}.prefix",
                mend="choose another path or prefix",
            )
        return name

    def _text(self, value: Secret) -> str:
        most = MAX_BYTES[self._tier]
        if len(value) > most:
            raise SecretTooLarge(
                f"Parameter Store holds {most} bytes in the tier {self._tier}, this value has {len(value)}",
                origin=self._service.origin,
            )
        if value == Secret(EMPTY):
            raise InvalidInput("Parameter Store cannot hold this value: it stands for the empty one")
        try:
            return value.reveal() or EMPTY
        except UnicodeDecodeError:
            pass  # its text would hold the value
        raise InvalidInput("Parameter Store holds text alone", mend="encode the value, in base64 perhaps")

    def _told(self, refusal: Refusal, path: str) -> Exception:
        return _not_found(path) if refusal.reason in _ABSENT else refusal.unexpected()


def _not_found(path: str) -> SecretNotFound:
    return SecretNotFound(f"there is no secret {path!r}")


_: type[SecretStore] = ParameterStore
_writable: type[WritableSecretStore] = ParameterStore
_versioned: type[VersionedSecretStore] = ParameterStore
