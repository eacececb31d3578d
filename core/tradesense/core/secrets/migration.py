"""Moving secrets from one provider to another."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncGenerator
from enum import StrEnum

import msgspec

from tradesense.core.audit.models import Actor
from tradesense.core.capabilities import Capability
from tradesense.core.errors import (
    DecryptionFailed,
    IntegrityViolated,
    InvalidInput,
    SecretConflict,
    SecretNotFound,
    SecretStoreMalformed,
)
from tradesense.core.paging import MAX_PAGE
from tradesense.core.secrets.models import StoredSecret
from tradesense.core.secrets.service import Secrets
from tradesense.core.sensitive import Secret


class Step(StrEnum):
    """What became of one secret."""

    COPIED = "copied"
    """The target has it now, and gave it back as it is."""
    TO_COPY = "to-copy"
    """The target has none, and a run that is not dry copies it."""
    SAME = "same"
    """The target had the same value already."""
    DIFFERENT = "different"
    """The target has something else, or was given something else meanwhile; it is left as it is."""
    REFUSED = "refused"
    """The target cannot hold it."""
    UNREADABLE = "unreadable"
    """The source has it, and cannot open it, or it is an entry of another form."""
    GONE = "gone"
    """It went away while the migration ran."""


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """One secret of a migration."""

    path: str
    step: Step
    reason: str = ""
    """Why it was not copied. Never a value."""


class Migration:
    """Copies the current values; each read and write is on the trail as any other.

    It keeps no state: what the target holds already is compared by digest and left alone, so that a run that was
    interrupted is begun again, and a second run changes nothing.
    """

    def __init__(self, source: Secrets, target: Secrets, *, actor: Actor, key: bytes) -> None:
        """With ``key`` as a random one that digests are made with, so that they tell nobody anything."""
        self._source = source
        self._target = target
        self._actor = actor
        self._key = key

    def losses(self) -> tuple[str, ...]:
        """What the source keeps beside the values, and the target will not have."""
        words = {
            Capability.VERSIONS: "earlier versions",
            Capability.METADATA: "custom metadata",
            Capability.AUTHORS: "who wrote each version",
            Capability.RETENTION: "how many versions are kept, and for how long",
        }
        return tuple(text for capability, text in words.items() if capability in self._source.capabilities)

    async def run(
        self, prefix: str = "", *, dry_run: bool = False, overwrite: bool = False
    ) -> AsyncGenerator[Migrated]:
        """Every secret under ``prefix``, in order, as it is done.

        :param dry_run: read from both, write nothing.
        :param overwrite: let the source's value take the place of another one.
        :raises SecretStoreUnavailable: a provider did not answer; what was done stays done.
        :raises IntegrityViolated: the target gave back something else than was written.
        """
        cursor: str | None = None
        while True:
            page = await self._source.list(prefix, cursor=cursor, limit=MAX_PAGE)
            for path in page.items:
                yield await self._one(path, dry_run=dry_run, overwrite=overwrite)
            if (cursor := page.cursor) is None:
                return

    async def _one(self, path: str, *, dry_run: bool, overwrite: bool) -> Migrated:
        try:
            value = (await self._source.get(path, actor=self._actor)).value
        except SecretNotFound as error:
            return Migrated(path=path, step=Step.GONE, reason=error.detail)
        except (DecryptionFailed, SecretStoreMalformed) as error:
            return Migrated(path=path, step=Step.UNREADABLE, reason=error.detail)
        return await self._brought(path, value, dry_run=dry_run, overwrite=overwrite)

    async def _brought(self, path: str, value: Secret, *, dry_run: bool, overwrite: bool) -> Migrated:
        try:
            there = await self._there(path)
        except (DecryptionFailed, SecretStoreMalformed) as error:
            return Migrated(path=path, step=Step.DIFFERENT, reason=f"the target cannot read its own: {error.detail}")
        except InvalidInput as error:
            return Migrated(path=path, step=Step.REFUSED, reason=error.detail)
        if there is not None and self._is_same(there.value, value):
            return Migrated(path=path, step=Step.SAME)
        if there is not None and not overwrite:
            return Migrated(path=path, step=Step.DIFFERENT)
        return await self._copied(path, value, self._expected(there), dry_run=dry_run)

    async def _copied(self, path: str, value: Secret, cas: int | None, *, dry_run: bool) -> Migrated:
        if reason := self._refusal(value):
            return Migrated(path=path, step=Step.REFUSED, reason=reason)
        if dry_run:
            return Migrated(path=path, step=Step.TO_COPY)
        try:
            await self._target.put(path, value, actor=self._actor, cas=cas)
        except InvalidInput as error:
            return Migrated(path=path, step=Step.REFUSED, reason=error.detail)
        except SecretConflict:
            return Migrated(path=path, step=Step.DIFFERENT, reason="the target was written to meanwhile")
        written = await self._there(path)
        if written is None or not self._is_same(written.value, value):
            raise IntegrityViolated(f"the target does not give back {path!r} as it was written", mend="look at it")
        return Migrated(path=path, step=Step.COPIED)

    async def _there(self, path: str) -> StoredSecret | None:
        try:
            return await self._target.get(path, actor=self._actor)
        except SecretNotFound:
            return None

    def _expected(self, there: StoredSecret | None) -> int | None:
        """The version that was seen, so that nothing is replaced that came after it, where the target can hold that."""
        if Capability.CAS not in self._target.capabilities:
            return None
        return 0 if there is None else there.version

    def _is_same(self, one: Secret, other: Secret) -> bool:
        return hmac.compare_digest(self._digest(one), self._digest(other))

    def _digest(self, value: Secret) -> bytes:
        return hmac.digest(self._key, value.reveal_bytes(), hashlib.sha256)

    def _refusal(self, value: Secret) -> str:
        """Why the target cannot hold the value, as far as its declaration tells; the rest it says when it is asked."""
        if Capability.WRITE not in self._target.capabilities:
            return "the target is read-only"
        if Capability.BINARY in self._target.capabilities:
            return ""
        try:
            value.reveal()
        except UnicodeDecodeError:
            return "the target holds text alone"
        return ""
