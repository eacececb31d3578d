"""What a KV version 2 engine keeps of a secret: entries of fields, and metadata of versions."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from tradesense.core.errors import SecretNotFound
from tradesense.core.secrets.models import SecretVersion, StoredSecret
from tradesense.core.sensitive import Secret

TEXT, BINARY = "value", "value_base64"
"""The field that holds the value: as it is, or in base64 where it is not UTF-8."""
_CLOCK_STEP = timedelta(seconds=1)


class _Version(msgspec.Struct, frozen=True):
    created_time: datetime
    deletion_time: str = ""
    """Empty when no deletion is planned; in the future where the engine deletes by age."""
    destroyed: bool = False

    def __post_init__(self) -> None:
        self.deleted_at()

    def deleted_at(self) -> datetime | None:
        """When it was deleted or will be; the decoder reports what is no time."""
        return msgspec.convert(self.deletion_time, datetime) if self.deletion_time else None


class Versions(msgspec.Struct, frozen=True):
    """The metadata of one secret."""

    current_version: int
    versions: dict[int, _Version]

    def live(self, date: str) -> dict[int, _Version]:
        """The versions that can be read at ``date``, oldest first; none when the current one was deleted."""
        now = _instant(date)
        live = {number: version for number, version in sorted(self.versions.items()) if _is_live(version, now)}
        return live if self.current_version in live else {}

    def listed(self, date: str) -> tuple[SecretVersion, ...]:
        """The same as the port lists them."""
        return tuple(
            SecretVersion(version=number, created_at=version.created_time, current=number == self.current_version)
            for number, version in self.live(date).items()
        )


class _EntryMetadata(msgspec.Struct, frozen=True):
    version: int
    created_time: datetime


class Entry(msgspec.Struct, frozen=True):
    """One version of one secret."""

    data: dict[str, Any]
    metadata: _EntryMetadata

    def secret(self, path: str) -> StoredSecret:
        """The value with its version.

        :raises SecretNotFound: somebody else wrote the entry, and not as a secret of this platform.
        """
        return StoredSecret(
            path=path,
            value=_value(self.data, path),
            version=self.metadata.version,
            created_at=self.metadata.created_time,
        )


class Written(msgspec.Struct, frozen=True):
    """What a write answers."""

    version: int


class Names(msgspec.Struct, frozen=True):
    """What a listing answers: names, those of folders with a slash at the end."""

    keys: list[str]


class Data(msgspec.Struct, frozen=True):
    """The envelope of every answer, its content still undecoded."""

    data: msgspec.Raw


def fields(value: Secret) -> dict[str, str]:
    """The fields that keep ``value``."""
    try:
        return {TEXT: value.reveal()}
    except UnicodeDecodeError:
        return {BINARY: base64.b64encode(value.reveal_bytes()).decode()}


def _value(data: dict[str, Any], path: str) -> Secret:
    text, binary = data.get(TEXT), data.get(BINARY)
    if isinstance(text, str):
        return Secret(text)
    if isinstance(binary, str):
        try:
            return Secret(base64.b64decode(binary, validate=True))
        except binascii.Error:
            pass  # told below, without the value
    raise SecretNotFound(
        f"the entry {path!r} has no text in the field {TEXT!r}", origin="secrets.vault", mend="write the secret again"
    )


def _is_live(version: _Version, now: datetime | None) -> bool:
    if version.destroyed:
        return False
    deleted_at = version.deleted_at()
    return deleted_at is None or (now is not None and deleted_at > now)


def _instant(date: str) -> datetime | None:
    """The end of the second that ``date`` names, so that what was deleted within it counts as deleted."""
    try:
        return parsedate_to_datetime(date) + _CLOCK_STEP
    except ValueError:
        return None
