"""Secrets as the entrypoints use them: checked, audited, and honest about what the provider can do."""

from __future__ import annotations

from tradesense.core.audit.models import Actor, Outcome
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.capabilities import Capability
from tradesense.core.errors import InvalidInput, SecretDenied, SecretNotFound
from tradesense.core.paging import MAX_PAGE, Page
from tradesense.core.secrets.models import (
    SecretVersion,
    StoredSecret,
    check_path,
    check_prefix,
    check_value,
    check_version,
)
from tradesense.core.secrets.ports import SecretStore, VersionedSecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret


class Provider:
    """One chosen secrets adapter with what it declared, so that no one has to guess.

    ``joined`` says that its writes join the transactions of the audit log.
    """

    def __init__(self, name: str, store: SecretStore, capabilities: frozenset[Capability], *, joined: bool) -> None:
        self.name = name
        self.store = store
        self.capabilities = capabilities
        self.joined = joined

    def writable(self) -> WritableSecretStore:
        """The store, if it can be written.

        :raises InvalidInput: this provider is read-only.
        """
        self.need(Capability.WRITE, "cannot be written")
        return self.store  # type: ignore[return-value]  # proved by the declared capability and the contract suite

    def versioned(self) -> VersionedSecretStore:
        """The store, if it keeps versions.

        :raises InvalidInput: this provider has no versions.
        """
        self.need(Capability.VERSIONS, "keeps no versions")
        return self.store  # type: ignore[return-value]  # proved by the declared capability and the contract suite

    def author(self, actor: Actor) -> dict[str, str]:
        """What a write is told of who writes, if the provider keeps it."""
        if Capability.AUTHORS not in self.capabilities:
            return {}
        return {"by": f"{actor.kind}:{actor.id}" if actor.id else actor.kind}

    def need(self, capability: Capability, lack: str) -> None:
        """Go on only if the provider declared ``capability``.

        :raises InvalidInput: it did not; ``lack`` says in words what it cannot do.
        """
        if capability not in self.capabilities:
            raise InvalidInput(
                f"the secrets provider {self.name!r} {lack}",
                origin="secrets.provider",
                mend="choose a provider that declares it; see `tradesense secrets providers`",
            )


class Secrets:
    """The secrets of one deployment."""

    def __init__(self, *, provider: Provider, trail: AuditTrail) -> None:
        self._provider = provider
        self._trail = trail

    @property
    def provider(self) -> str:
        """The name of the provider that answers."""
        return self._provider.name

    async def get(
        self, path: str, *, actor: Actor, version: int | None = None, correlation_id: str = ""
    ) -> StoredSecret:
        """Read a secret; the read is on the trail before the value leaves.

        :param version: counts from 1; the current one when left out.
        :raises InvalidSecretPath: ``path`` is outside the grammar.
        :raises InvalidInput: ``version`` cannot be one, or the provider keeps none.
        :raises SecretNotFound: no such secret or version.
        :raises SecretDenied: the provider refused us.
        :raises SecretStoreUnavailable: the provider did not answer.
        :raises AuditUnavailable: the read could not be recorded.
        """
        event = Event("secrets.get", check_path(path), actor, correlation_id)
        try:
            if version is None:
                found = await self._provider.store.get(path)
            else:
                found = await self._provider.versioned().get_version(path, check_version(version))
        except SecretDenied:
            await self._trail.note(event, Outcome.DENIED)
            raise
        except SecretNotFound:
            await self._trail.note(event, Outcome.FAILED)
            raise
        event.detail["version"] = str(found.version)
        await self._trail.note(event)
        return found

    async def put(
        self, path: str, value: Secret, *, actor: Actor, cas: int | None = None, correlation_id: str = ""
    ) -> int:
        """Write a new version and return its number.

        :param cas: the version that must be current, 0 for none; refused where the provider cannot hold it.
        :raises InvalidSecretPath: ``path`` is outside the grammar.
        :raises SecretTooLarge: the value is over 64 KiB.
        :raises SecretConflict: another version is current.
        :raises InvalidInput: the provider cannot do this.
        """
        store = self._provider.writable()
        if cas is not None:
            self._provider.need(Capability.CAS, "cannot compare and set")
        event = Event("secrets.put", check_path(path), actor, correlation_id)
        async with self._trail.change(event, joined=self._provider.joined):
            version = await store.put(path, check_value(value), cas=cas, **self._provider.author(actor))
            event.detail["version"] = str(version)
        return version

    async def delete(self, path: str, *, actor: Actor, correlation_id: str = "") -> None:
        """Delete a secret.

        :raises SecretNotFound: there is none.
        :raises InvalidInput: the provider is read-only.
        """
        store = self._provider.writable()
        event = Event("secrets.delete", check_path(path), actor, correlation_id)
        async with self._trail.change(event, joined=self._provider.joined):
            await store.delete(path)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """The paths under ``prefix``, a page at a time; ``limit`` is brought into 1 to 1000."""
        limit = min(max(limit, 1), MAX_PAGE)
        return await self._provider.store.list(check_prefix(prefix), cursor=cursor, limit=limit)

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """Every version that can still be named, oldest first, without its value.

        :raises InvalidSecretPath: ``path`` is outside the grammar.
        :raises SecretNotFound: there is no such secret.
        :raises InvalidInput: the provider keeps no versions.
        """
        return await self._provider.versioned().versions(check_path(path))
