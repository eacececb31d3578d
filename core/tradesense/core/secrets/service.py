"""Secrets as the entrypoints use them: checked, audited, and honest about what the provider can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from tradesense.core.audit.models import VALUE_HMAC, Actor, Outcome
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.capabilities import Capability
from tradesense.core.errors import DecryptionFailed, SecretDenied, SecretNotFound
from tradesense.core.paging import MAX_PAGE, Page
from tradesense.core.secrets import folders
from tradesense.core.secrets.models import (
    Retention,
    SecretVersion,
    StoredSecret,
    check_custom,
    check_path,
    check_prefix,
    check_retention,
    check_value,
    check_version,
)
from tradesense.core.secrets.patches import patched
from tradesense.core.secrets.provider import Provider
from tradesense.core.secrets.reads import CachedReads
from tradesense.core.sensitive import Secret


class Secrets:
    """The secrets of one deployment."""

    def __init__(self, *, provider: Provider, trail: AuditTrail, reads: CachedReads | None = None) -> None:
        """Make it of its parts.

        :param reads: what reads of a provider go through that is another server's.
        """
        self._provider = provider
        self._reads = reads
        self._trail = trail

    async def run(self) -> None:
        """Hear what other processes change. Runs until it is cancelled, or ends at once where nothing is cached."""
        if self._reads is not None:
            await self._reads.cache.run()

    async def aclose(self) -> None:
        """End what is being read. Nothing may be read afterwards."""
        if self._reads is not None:
            await self._reads.cache.aclose()

    @property
    def cached(self) -> bool:
        """Whether reads go through a cache, so that :meth:`run` has to."""
        return self._reads is not None

    @property
    def provider(self) -> str:
        """The name of the provider that answers."""
        return self._provider.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the provider declared."""
        return self._provider.capabilities

    async def get(
        self, path: str, *, actor: Actor, version: int | None = None, correlation_id: str = ""
    ) -> StoredSecret:
        """Read a secret; the read is on the trail before the value leaves.

        :param version: counts from 1; the current one when left out.
        :raises InvalidSecretPath: ``path`` is outside the grammar.
        :raises InvalidInput: ``version`` cannot be one, or the provider keeps none.
        :raises SecretNotFound: no such secret or version.
        :raises SecretDenied: the provider refused us.
        :raises SecretStoreUnavailable: the provider did not answer, and the last answer is too old.
        :raises DecryptionFailed: what is kept does not open.
        :raises AuditUnavailable: the read could not be recorded.
        """
        event = Event("secrets.get", check_path(path), actor, correlation_id)
        try:
            found = await self._read(path, version)
        except SecretDenied:
            await self._trail.note(event, Outcome.DENIED)
            raise
        except (SecretNotFound, DecryptionFailed):
            await self._trail.note(event, Outcome.FAILED)
            raise
        event.detail["version"] = str(found.version)
        if found.stale:
            event.detail["stale"] = "true"
        await self._trail.note(event)
        return found

    async def put(
        self, path: str, value: Secret, *, actor: Actor, cas: int | None = None, correlation_id: str = ""
    ) -> int:
        """Write a new version and return its number.

        :param cas: the version that must be current, 0 for none; refused where the provider cannot hold it.
        :raises InvalidSecretPath: ``path`` is outside the grammar.
        :raises SecretTooLarge: the value is over 64 KiB.
        :raises SecretEmpty: it has no byte.
        :raises SecretMasked: it is a mask, or holds one.
        :raises SecretConflict: another version is current.
        :raises InvalidInput: the provider cannot do this.
        """
        return await self._write(Event("secrets.put", check_path(path), actor, correlation_id), value, cas)

    async def delete(self, path: str, versions: Sequence[int] = (), *, actor: Actor, correlation_id: str = "") -> None:
        """Delete a secret, or just the ``versions`` that are named.

        :raises SecretNotFound: there is none.
        :raises InvalidInput: the provider is read-only, or cannot delete single versions.
        """
        async with self._changing("secrets.delete", path, actor, correlation_id, versions):
            if versions:
                await self._provider.erasable().delete_versions(path, versions)
            else:
                await self._provider.writable().delete(path)

    async def patch(
        self, path: str, changes: Mapping[str, Any], *, actor: Actor, cas: int | None = None, correlation_id: str = ""
    ) -> int:
        """Merge ``changes`` into a value that is a JSON object (RFC 7396), as a new version; returns its number.

        It is written only over the version that was read.

        :param cas: the version that must be current.
        :raises SecretNotFound: there is no such secret.
        :raises SecretConflict: another version is current, or was written meanwhile.
        :raises InvalidInput: the value is no JSON object, or the provider cannot compare and set.
        """
        self._provider.need(Capability.CAS, "cannot compare and set, so that a change of a part could undo another")
        found = await self._provider.store.get(check_path(path))
        expected = found.version if cas is None else cas
        return await self._write(
            Event("secrets.patch", path, actor, correlation_id), patched(found.value, changes), expected
        )

    async def rollback(
        self, path: str, version: int, *, actor: Actor, cas: int | None = None, correlation_id: str = ""
    ) -> int:
        """Write the value of an earlier version as a new one, and return its number.

        :param cas: the version that must be current.
        :raises SecretNotFound: there is no such secret or version.
        :raises SecretConflict: another version is current.
        :raises InvalidInput: the provider keeps no versions, or cannot compare and set.
        """
        old = await self._provider.versioned().get_version(check_path(path), check_version(version))
        event = Event("secrets.rollback", path, actor, correlation_id, {"from": f"{version}"})
        return await self._write(event, old.value, cas)

    async def undelete(
        self, path: str, versions: Sequence[int] = (), *, actor: Actor, correlation_id: str = ""
    ) -> None:
        """Bring back what the last deletion took away, or just the ``versions`` that are named.

        :raises SecretNotFound: there is no such secret or version, or it was destroyed.
        :raises InvalidInput: the provider deletes for good.
        """
        async with self._changing("secrets.undelete", path, actor, correlation_id, versions):
            if versions:
                await self._provider.erasable().undelete_versions(path, versions)
            else:
                await self._provider.recoverable().undelete(path)

    async def destroy(self, path: str, versions: Sequence[int] = (), *, actor: Actor, correlation_id: str = "") -> None:
        """Remove the values of ``versions`` for good; without any, the whole secret.

        :raises SecretNotFound: there is no such secret or version.
        :raises InvalidInput: the provider cannot.
        """
        async with self._changing("secrets.destroy", path, actor, correlation_id, versions):
            if versions:
                await self._provider.erasable().destroy_versions(path, versions)
            else:
                await self._provider.recoverable().destroy(path)

    async def metadata(self, path: str) -> Mapping[str, str]:
        """The secret's custom metadata.

        :raises SecretNotFound: there is no such secret.
        :raises InvalidInput: the provider keeps none.
        """
        return await self._provider.described().metadata(check_path(path))

    async def describe(self, path: str, custom: Mapping[str, str], *, actor: Actor, correlation_id: str = "") -> None:
        """Replace the secret's custom metadata.

        :raises SecretNotFound: there is no such secret.
        :raises InvalidInput: it is too much, or the provider keeps none.
        """
        store = self._provider.described()
        async with self._changing("secrets.describe", path, actor, correlation_id):
            await store.describe(path, check_custom(custom))

    async def retention(self, path: str) -> Retention:
        """What happens to the secret's versions by themselves.

        :raises SecretNotFound: there is no such secret.
        :raises InvalidInput: the provider does not do such things.
        """
        return await self._provider.retaining().retention(check_path(path))

    async def retain(self, path: str, retention: Retention, *, actor: Actor, correlation_id: str = "") -> None:
        """Say how many versions are kept, and for how long.

        :raises SecretNotFound: there is no such secret.
        :raises InvalidInput: the numbers cannot be, or the provider does not do such things.
        """
        store = self._provider.retaining()
        async with self._changing("secrets.retain", path, actor, correlation_id) as event:
            event.detail |= {"max_versions": f"{retention.max_versions}", "delete_after": f"{retention.delete_after:g}"}
            await store.retain(path, check_retention(retention))

    async def list(
        self, prefix: str = "", *, cursor: str | None = None, limit: int = 100, recursive: bool = True
    ) -> Page[str]:
        """The paths under ``prefix``, a page at a time; ``limit`` is brought into 1 to 1000.

        :param recursive: else only what stands directly in the folder ``prefix``, with the folders in it.
        """
        limit = min(max(limit, 1), MAX_PAGE)
        if not recursive:
            folder = folders.check_folder(prefix)
            return await folders.children(self._provider.store, folder, cursor=cursor, limit=limit)
        return await self._provider.store.list(check_prefix(prefix), cursor=cursor, limit=limit)

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """Every version that can still be named, oldest first, without its value.

        :raises InvalidSecretPath: ``path`` is outside the grammar.
        :raises SecretNotFound: there is no such secret.
        :raises InvalidInput: the provider keeps no versions.
        """
        return await self._provider.versioned().versions(check_path(path))

    async def _write(self, event: Event, value: Secret, cas: int | None) -> int:
        store = self._provider.writable()
        if cas is not None:
            self._provider.need(Capability.CAS, "cannot compare and set")
        author = self._provider.author(event.actor)
        event.detail[VALUE_HMAC] = self._trail.fingerprint(value)
        async with self._forgetting(event.subject), self._trail.change(event, joined=self._provider.joined):
            version = await store.put(check_path(event.subject), check_value(value), cas=cas, **author)
            event.detail["version"] = f"{version}"
        return version

    @asynccontextmanager
    async def _changing(
        self, action: str, path: str, actor: Actor, correlation_id: str, versions: Sequence[int] = ()
    ) -> AsyncGenerator[Event]:
        """Run the body as one audited change of the secret at ``path``."""
        event = Event(action, check_path(path), actor, correlation_id)
        if versions:
            event.detail["versions"] = ",".join(map(str, map(check_version, versions)))
        async with self._forgetting(path), self._trail.change(event, joined=self._provider.joined):
            yield event

    @asynccontextmanager
    async def _forgetting(self, path: str) -> AsyncGenerator[None]:
        """Whatever becomes of the body: what was read before is not answered with afterwards."""
        try:
            yield
        finally:
            if self._reads is not None:
                await self._reads.forget(path)

    async def _read(self, path: str, version: int | None) -> StoredSecret:
        if version is None:
            read = partial(self._provider.store.get, path)
        else:
            read = partial(self._provider.versioned().get_version, path, check_version(version))
        return await read() if self._reads is None else await self._reads.get(path, version, read)
