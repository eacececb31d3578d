"""What Secret Manager holds of a version, in the terms of the port."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from google.cloud import secretmanager_v1 as sm

from tradesense.core.errors import InvalidInput
from tradesense.core.secrets.models import SecretVersion, StoredSecret, VersionState
from tradesense.core.sensitive import Secret

EMPTY = b"\xff\xfetradesense:empty"
"""Stands for the empty value, which the service does not hold. It is no text."""

_STATES = {
    sm.SecretVersion.State.ENABLED: VersionState.AVAILABLE,
    sm.SecretVersion.State.DISABLED: VersionState.DELETED,
}


def data_of(value: Secret) -> bytes:
    """The bytes that hold ``value``.

    :raises InvalidInput: they would be read as another one.
    """
    if value == Secret(EMPTY):
        raise InvalidInput("Secret Manager cannot hold this value: it stands for the empty one")
    return value.reveal_bytes() or EMPTY


def stored(path: str, found: sm.AccessSecretVersionResponse) -> StoredSecret:
    """A version with its value. When it was written, only a listing tells."""
    value = Secret(found.payload.data)
    return StoredSecret(path=path, value=Secret("") if value == Secret(EMPTY) else value, version=number_of(found.name))


def number_of(name: str) -> int:
    """The version's number, from its full name."""
    return int(name.rpartition("/")[2])


def listed(found: Iterable[sm.SecretVersion], current: int, pending: int) -> tuple[SecretVersion, ...]:
    """Every version, oldest first."""
    versions = (_listed(one, current, pending) for one in found)
    return tuple(sorted(versions, key=lambda version: version.version))


def _listed(one: sm.SecretVersion, current: int, pending: int) -> SecretVersion:
    number = number_of(one.name)
    state = _STATES.get(one.state, VersionState.DESTROYED)
    return SecretVersion(
        version=number,
        created_at=_instant(one.create_time),
        current=number == current and state is VersionState.AVAILABLE,
        state=VersionState.PENDING if number == pending and state is VersionState.AVAILABLE else state,
        deleted_at=_instant(one.destroy_time),
    )


def _instant(moment: Any) -> datetime | None:
    return datetime.fromtimestamp(moment.timestamp(), UTC) if moment else None
