"""What is sent and answered about secrets."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from tradesense.core.secrets.models import MAX_VERSION, VersionState
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.problems import INVALID_BODY, Refused, fault

VersionNumber = Annotated[int, Meta(ge=1, le=MAX_VERSION)]


class NewValue(Body, frozen=True, kw_only=True):
    """A value to be written."""

    value: Secret
    cas: Annotated[int, Meta(ge=0, le=MAX_VERSION)] | None = None
    """The version that must be current, 0 for none."""
    encoding: Literal["base64"] | UnsetType = UNSET
    """How `value` carries bytes that are no text, as they are answered with."""

    def decoded(self) -> Secret:
        """What is to be kept.

        :raises Refused: the value is not of the encoding that is named.
        """
        if self.encoding is UNSET:
            return self.value
        try:
            return Secret(base64.b64decode(self.value.reveal_bytes(), validate=True))
        except ValueError as error:
            raise Refused(INVALID_BODY, faults=[fault("is no base64", place="$.value")]) from error


class SecretValue(Struct, frozen=True, kw_only=True):
    """One version of a secret."""

    value: Secret
    version: int
    provider: str
    created_at: datetime | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    """Who wrote it, where the provider keeps that."""
    stale: Literal[True] | UnsetType = UNSET
    """The provider does not answer; this is what it said some minutes ago at most."""
    encoding: Literal["base64"] | UnsetType = UNSET
    """How ``value`` is written where it is no UTF-8 text."""


class Action(Body, frozen=True, kw_only=True):
    """What an action is told."""

    versions: Annotated[tuple[VersionNumber, ...], Meta(max_length=1000)] = ()
    """For `undelete` and `destroy`: these alone."""
    version: VersionNumber | None = None
    """For `rollback`: where to."""
    cas: Annotated[int, Meta(ge=0, le=MAX_VERSION)] | None = None
    """For `rollback`: the version that must be current."""
    custom: dict[str, str] = field(default_factory=dict[str, str])
    """For `metadata`: all of it."""
    max_versions: Annotated[int, Meta(ge=0)] = 0
    """For `retention`: how many versions are kept; 0 leaves it to the provider."""
    delete_after: Annotated[float, Meta(ge=0)] = 0
    """For `retention`: seconds after which a version that is written from now on deletes itself; 0 for never."""


class VersionInfo(Struct, frozen=True, kw_only=True):
    """What is known of one version without its value."""

    version: int
    current: bool
    state: VersionState
    created_at: datetime | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    deleted_at: datetime | UnsetType = UNSET


class Versions(Struct, frozen=True, kw_only=True):
    """Every version that can still be named, oldest first."""

    items: tuple[VersionInfo, ...]


class Kept(Struct, frozen=True, kw_only=True):
    """What is kept of a secret besides its versions."""

    custom: dict[str, str]


class Retained(Struct, frozen=True, kw_only=True):
    """How many versions are kept, and for how many seconds; 0 for what nobody has set."""

    max_versions: int
    delete_after: float


class Done(Struct, frozen=True, kw_only=True):
    """An action that has no other answer."""

    done: str


def shown(value: Secret) -> tuple[Secret, Literal["base64"] | UnsetType]:
    """The value as JSON can carry it. Providers keep bytes; most of them are text."""
    try:
        value.reveal()
    except UnicodeDecodeError:
        return Secret(base64.b64encode(value.reveal_bytes())), "base64"
    return value, UNSET
