"""Numbers for versions that Secrets Manager knows by tokens, and values in the forms that AWS takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tradesense.core.errors import SecretStoreMalformed
from tradesense.core.secrets.models import SecretVersion, VersionState
from tradesense.core.sensitive import Secret

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
EMPTY = "tradesense:empty"
"""AWS holds no empty values. As a binary value that is text we never write it otherwise."""

_TOKEN = re.compile(r"tradesense-version-(\d{13})")
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def version_id(number: int) -> str:
    """The version's id. It is ours to choose, so of two writers of one number the service lets one through."""
    return f"tradesense-version-{number:013d}"


def number_of(name: str, created: datetime | None) -> int:
    """The version's number. One that others wrote has no number: it is given the seconds from 2020 to its creation."""
    if match := _TOKEN.fullmatch(name):
        return int(match[1])
    return max(1, int(((created or _EPOCH) - _EPOCH).total_seconds()))


def instant(moment: object) -> datetime | None:
    """A time of the SDK in UTC."""
    return moment.astimezone(UTC) if isinstance(moment, datetime) else None


class Described:
    """A secret's state, as ``DescribeSecret`` and ``ListSecretVersionIds`` tell it."""

    def __init__(self, versions: Iterable[Mapping[str, Any]], *, deleted_at: datetime | None) -> None:
        self.deleted_at = deleted_at
        """When it will be gone for good, where it was deleted."""
        self.ids: dict[int, str] = {}
        self._created: dict[int, datetime | None] = {}
        self.current = self.pending = 0
        """Numbers; 0 where there is none."""
        for version in versions:
            self._add(version)
        if self.pending <= self.current:  # the stage stays behind where it was promoted
            self.pending = 0

    def _add(self, version: Mapping[str, Any]) -> None:
        created = instant(version.get("CreatedDate"))
        number = number_of(version["VersionId"], created)
        stages = version.get("VersionStages") or ()
        self.ids[number], self._created[number] = version["VersionId"], created
        if CURRENT in stages:
            self.current = number
        if PENDING in stages:
            self.pending = number

    @property
    def next(self) -> int:
        """The first number that nobody has."""
        return max(self.ids, default=0) + 1

    def listed(self) -> tuple[SecretVersion, ...]:
        """The same as the port lists them."""
        return tuple(
            SecretVersion(
                version=number,
                created_at=self._created[number],
                current=number == self.current and self.deleted_at is None,
                state=self._state(number),
                deleted_at=self.deleted_at,
            )
            for number in sorted(self.ids)
        )

    def _state(self, number: int) -> VersionState:
        if self.deleted_at is not None:
            return VersionState.DELETED
        return VersionState.PENDING if number == self.pending else VersionState.AVAILABLE


def fields(value: Secret) -> dict[str, Any]:
    """The arguments of a write that hold ``value``."""
    if not value:
        return {"SecretBinary": EMPTY.encode()}
    try:
        return {"SecretString": value.reveal()}
    except UnicodeDecodeError:
        return {"SecretBinary": value.reveal_bytes()}


def value_of(reply: Mapping[str, Any], origin: str) -> Secret:
    """The value that a read answered with.

    :raises SecretStoreMalformed: there is none.
    """
    text, binary = reply.get("SecretString"), reply.get("SecretBinary")
    if isinstance(text, str):
        return Secret(text)
    if isinstance(binary, bytes):
        found = Secret(binary)
        return Secret("") if found == Secret(EMPTY) else found
    raise SecretStoreMalformed("the secret provider's answer holds no value", origin=origin)
