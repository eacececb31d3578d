"""Numbers for versions that Key Vault knows by random ids, and values in the form that it takes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from azure.keyvault.secrets import DeletedSecret, KeyVaultSecret, SecretProperties

from tradesense.core.errors import SecretStoreMalformed, SecretTooLarge
from tradesense.core.secrets.models import SecretVersion, StoredSecret, VersionState
from tradesense.core.sensitive import Secret

MAX_BYTES = 25_000
"""Of the text that is kept: "25k bytes", as the service's limits say."""
NUMBER = "tradesense-version"
"""The tag with a version's number."""
EMPTY, BINARY = "application/vnd.tradesense.empty", "application/octet-stream;base64"
MAX_TOLD = 10_000
"""Versions of a deleted secret that are told."""
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def number_of(properties: SecretProperties) -> int:
    """The version's number. One that others wrote is given the seconds from 2020 to its creation."""
    said = (properties.tags or {}).get(NUMBER, "")
    if said.isascii() and said.isdigit() and 0 < len(said) <= 10:  # noqa: PLR2004  # digits of the largest number
        return int(said)
    return max(1, int(((properties.created_on or _EPOCH) - _EPOCH).total_seconds()))


def form_of(value: Secret) -> tuple[str, str | None]:
    """What is kept of ``value``: a text, and its content type where it is not what it seems.

    :raises SecretTooLarge: the service does not hold so much.
    """
    try:
        text, kind = value.reveal(), None
    except UnicodeDecodeError:
        text, kind = base64.b64encode(value.reveal_bytes()).decode(), BINARY
    if len(text.encode()) > MAX_BYTES:
        raise SecretTooLarge(
            f"Key Vault holds {MAX_BYTES} bytes, this value takes {len(text.encode())}", origin="secrets.azure"
        )
    return (text, kind) if text else ("empty", EMPTY)


def stored(path: str, found: KeyVaultSecret) -> StoredSecret:
    """A version with its value.

    :raises SecretStoreMalformed: there is none.
    """
    text, kind = found.value, found.properties.content_type
    if text is None:
        raise SecretStoreMalformed("the secret provider's answer holds no value", origin="secrets.azure")
    return StoredSecret(
        path=path,
        value=_value(text, kind),
        version=number_of(found.properties),
        created_at=_instant(found.properties.created_on),
    )


def listed(found: Iterable[SecretProperties], current: str) -> tuple[SecretVersion, ...]:
    """Every version, oldest first; ``current`` is the id of the one that was written last."""
    versions = (
        SecretVersion(
            version=number_of(one),
            created_at=_instant(one.created_on),
            current=one.version == current and bool(one.enabled),
            state=VersionState.AVAILABLE if one.enabled else VersionState.DELETED,
        )
        for one in found
    )
    return tuple(sorted(versions, key=lambda version: version.version))


def of_deleted(found: DeletedSecret) -> tuple[SecretVersion, ...]:
    """The versions of a deleted secret."""
    last = number_of(found.properties)
    numbers = range(1, last + 1) if NUMBER in (found.properties.tags or {}) and last <= MAX_TOLD else [last]
    deleted_at = _instant(found.deleted_date)
    return tuple(SecretVersion(version=one, state=VersionState.DELETED, deleted_at=deleted_at) for one in numbers)


def numbered(tags: Mapping[str, str] | None, number: int) -> dict[str, str]:
    """The tags with another number."""
    return {**(tags or {}), NUMBER: str(number)}


def _value(text: str, kind: str | None) -> Secret:
    if kind == EMPTY:
        return Secret("")
    if kind == BINARY:
        try:
            return Secret(base64.b64decode(text, validate=True))
        except binascii.Error:
            return Secret(text)  # somebody else means something else by this content type
    return Secret(text)


def _instant(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
