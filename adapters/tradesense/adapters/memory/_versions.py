"""One secret with its versions, as a value: every change makes a new one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from tradesense.core.errors import SecretConflict, SecretNotFound
from tradesense.core.secrets.models import Retention, SecretVersion, StoredSecret, VersionState
from tradesense.core.sensitive import Secret

KEPT_VERSIONS = 100
"""Versions of one secret that are kept unless its retention says otherwise; older ones are dropped."""

_AVAILABLE, _PENDING, _DELETED, _DESTROYED = (
    VersionState.AVAILABLE,
    VersionState.PENDING,
    VersionState.DELETED,
    VersionState.DESTROYED,
)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One version."""

    version: int
    value: Secret
    created_at: datetime
    created_by: str
    state: VersionState = _AVAILABLE
    deleted_at: datetime | None = None
    """Of an available version: when it will be deleted by age."""

    def at(self, now: datetime) -> VersionState:
        """Its state at ``now``."""
        aged = self.state is _AVAILABLE and self.deleted_at is not None and self.deleted_at <= now
        return _DELETED if aged else self.state


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """A secret with its versions, oldest first."""

    path: str
    held: tuple[Held, ...] = ()
    current: int = 0
    """The number that was current last, whether or not it can still be read."""
    deleted_at: datetime | None = None
    """When the whole secret was deleted."""
    custom: dict[str, str] = {}
    retention: Retention = Retention()

    def current_at(self, now: datetime) -> int:
        """The number of the current version, 0 for none."""
        held = self.find(self.current)
        return self.current if held is not None and held.at(now) is _AVAILABLE else 0

    def find(self, version: int) -> Held | None:
        """The version, in whatever state."""
        return next((held for held in reversed(self.held) if held.version == version), None)

    def pending(self) -> Held | None:
        """The version that waits to be promoted."""
        return next((held for held in reversed(self.held) if held.state is _PENDING), None)

    def read(self, version: int, now: datetime) -> StoredSecret:
        """The version's value.

        :raises SecretNotFound: it cannot be read.
        """
        held = self.find(version)
        if held is None or held.at(now) not in {_AVAILABLE, _PENDING}:
            raise SecretNotFound(f"there is no version {version} of the secret {self.path!r}")
        return StoredSecret(
            path=self.path,
            value=held.value,
            version=version,
            created_at=held.created_at,
            created_by=held.created_by,
        )

    def listed(self, now: datetime) -> tuple[SecretVersion, ...]:
        """All versions, as the port lists them."""
        current = self.current_at(now)
        return tuple(
            SecretVersion(
                version=held.version,
                created_at=held.created_at,
                created_by=held.created_by,
                state=held.at(now),
                deleted_at=held.deleted_at,
                current=held.version == current,
            )
            for held in self.held
        )

    def written(self, version: int, value: Secret, by: str, now: datetime) -> Versions:
        """With a new current version, in place of a pending one."""
        age = self.retention.delete_after
        added = Held(
            version=version,
            value=value,
            created_at=now,
            created_by=by,
            deleted_at=now + timedelta(seconds=age) if age else None,
        )
        held = (*self._without_pending(), added)[-(self.retention.max_versions or KEPT_VERSIONS) :]
        return replace(self, held=held, current=version, deleted_at=None)

    def staged(self, version: int, value: Secret, by: str, now: datetime) -> Versions:
        """With a pending version, in place of any earlier one."""
        added = Held(version=version, value=value, created_at=now, created_by=by, state=_PENDING)
        return replace(self, held=(*self._without_pending(), added))

    def promoted(self, version: int, now: datetime) -> Versions:
        """With the pending version as the current one.

        :raises SecretConflict: ``version`` is neither pending nor current.
        """
        pending = self.pending()
        if pending is not None and pending.version == version:
            age = self.retention.delete_after
            end = now + timedelta(seconds=age) if age else None
            held = (*self._without_pending(), replace(pending, state=_AVAILABLE, deleted_at=end))
            most = self.retention.max_versions or KEPT_VERSIONS
            return replace(self, held=held[-most:], current=version, deleted_at=None)
        if version < 1 or version != self.current_at(now):
            raise SecretConflict(f"version {version} of {self.path!r} is neither pending nor current")
        return self

    def deleted(self, now: datetime) -> Versions:
        """With every version that could be read deleted, and none pending."""
        held = tuple(
            replace(one, state=_DELETED, deleted_at=now) if one.at(now) is _AVAILABLE else one
            for one in self._without_pending()
        )
        return replace(self, held=held, deleted_at=now)

    def undeleted(self, now: datetime) -> Versions:
        """With what the last deletion took away.

        :raises SecretNotFound: the version that was current is destroyed.
        """
        if self.current_at(now):
            return self
        last = self.find(self.current)
        if last is None or last.state is _DESTROYED:
            raise SecretNotFound(f"the secret {self.path!r} was destroyed")
        back = {one.version for one in self.held if self.deleted_at and one.deleted_at == self.deleted_at}
        return self.marked(back or {self.current}, _AVAILABLE, now)

    def marked(self, versions: Collection[int], state: VersionState, now: datetime) -> Versions:
        """With ``versions`` in ``state``.

        :raises SecretNotFound: one of them is not there, or was destroyed.
        """
        wanted = set(versions)
        for version in wanted:
            held = self.find(version)
            destroyed = held is not None and held.state is _DESTROYED and state is not _DESTROYED
            if held is None or destroyed or (held.state is _PENDING and state is not _DESTROYED):
                raise SecretNotFound(f"there is no version {version} of the secret {self.path!r}")
        marked = replace(
            self, held=tuple(_marked(one, state, now) if one.version in wanted else one for one in self.held)
        )
        return replace(marked, deleted_at=None) if marked.current_at(now) else marked

    def _without_pending(self) -> tuple[Held, ...]:
        return tuple(one for one in self.held if one.state is not _PENDING)


def _marked(held: Held, state: VersionState, now: datetime) -> Held:
    if held.at(now) is state:
        return held
    if state is _AVAILABLE:
        return replace(held, state=state, deleted_at=None)
    value = Secret("") if state is _DESTROYED else held.value
    return replace(held, state=state, value=value, deleted_at=held.deleted_at if held.state is _DELETED else now)
