"""What a KV version 2 engine keeps of a secret: entries of fields, and metadata of versions."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from tradesense.core.errors import SecretStoreMalformed
from tradesense.core.secrets.models import Retention, SecretVersion, StoredSecret, VersionState
from tradesense.core.sensitive import Secret

TEXT, BINARY = "value", "value_base64"
"""The field that holds the value: as it is, or in base64 where it is not UTF-8."""
EMPTY = "tradesense:empty"
"""Stands for empty metadata."""
_CLOCK_STEP = timedelta(seconds=1)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


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
    custom_metadata: dict[str, str] | None = None
    max_versions: int = 0
    delete_version_after: str = "0s"

    def states(self, date: str) -> dict[int, VersionState]:
        """What can be done with each version at ``date``, oldest first."""
        now = _instant(date)
        return {number: _state(version, now) for number, version in sorted(self.versions.items())}

    def live(self, date: str) -> dict[int, _Version]:
        """The versions that can be read at ``date``, oldest first; none when the current one was deleted."""
        states = self.states(date)
        if states.get(self.current_version) is not VersionState.AVAILABLE:
            return {}
        return {number: self.versions[number] for number, state in states.items() if state is VersionState.AVAILABLE}

    def taken_away(self, date: str) -> list[int]:
        """The versions that went in the same instant as the current one; none where that one was not deleted."""
        states, current = self.states(date), self.versions.get(self.current_version)
        if current is None or states[self.current_version] is not VersionState.DELETED:
            return []
        since = (current.deleted_at() or datetime.max.replace(tzinfo=UTC)) - _CLOCK_STEP
        deleted = (number for number, state in states.items() if state is VersionState.DELETED)
        return [number for number in deleted if (self.versions[number].deleted_at() or since) >= since]

    def retention(self) -> Retention:
        """What the engine was told about old versions."""
        return Retention(max_versions=self.max_versions, delete_after=_seconds(self.delete_version_after))

    def custom(self) -> dict[str, str]:
        """The custom metadata, as they were given."""
        return {key: "" if value == EMPTY else value for key, value in (self.custom_metadata or {}).items()}

    def listed(self, date: str) -> tuple[SecretVersion, ...]:
        """Every version as the port lists them."""
        return tuple(
            SecretVersion(
                version=number,
                created_at=self.versions[number].created_time,
                current=number == self.current_version and state is VersionState.AVAILABLE,
                state=state,
                deleted_at=self.versions[number].deleted_at(),
            )
            for number, state in self.states(date).items()
        )


class _EntryMetadata(msgspec.Struct, frozen=True):
    version: int
    created_time: datetime


class Entry(msgspec.Struct, frozen=True):
    """One version of one secret."""

    data: dict[str, Any]
    metadata: _EntryMetadata

    def __repr__(self) -> str:
        """Without the fields, which hold the value."""
        return f"Entry({self.metadata!r})"

    def secret(self, path: str) -> StoredSecret:
        """The value with its version.

        :raises SecretStoreMalformed: somebody else wrote the entry, and not as a secret of this platform.
        """
        return StoredSecret(
            path=path,
            value=value_of(self.data, path),
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


def value_of(data: Mapping[str, Any], path: str) -> Secret:
    """The value among the fields of an entry.

    :raises SecretStoreMalformed: somebody else wrote the entry, and not as a secret of this platform.
    """
    text, binary = data.get(TEXT), data.get(BINARY)
    if isinstance(text, str):
        return Secret(text)
    if isinstance(binary, str):
        try:
            return Secret(base64.b64decode(binary, validate=True))
        except binascii.Error:
            pass  # told below, without the value
    raise SecretStoreMalformed(
        f"the entry {path!r} has no text in the field {TEXT!r}",
        origin="secrets.vault",
        mend=f"write the secret again, or give the entry a field {TEXT!r}",
    )


def custom_of(custom: Mapping[str, str]) -> dict[str, str]:
    """The form in which the engine takes custom metadata, which may not be empty there."""
    return {key: value or EMPTY for key, value in custom.items()}


def duration(seconds: float) -> str:
    """The form in which the engine takes a duration."""
    return f"{math.ceil(seconds)}s"


def _seconds(text: str) -> float:
    """A duration as Go writes it: ``1h2m3.5s``."""
    parts = _DURATION.findall(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _state(version: _Version, now: datetime | None) -> VersionState:
    if version.destroyed:
        return VersionState.DESTROYED
    deleted_at = version.deleted_at()
    gone = deleted_at is not None and (now is None or deleted_at <= now)
    return VersionState.DELETED if gone else VersionState.AVAILABLE


def _instant(date: str) -> datetime | None:
    """The end of the second that ``date`` names, so that what was deleted within it counts as deleted."""
    try:
        return parsedate_to_datetime(date) + _CLOCK_STEP
    except ValueError:
        return None
