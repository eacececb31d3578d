"""One chosen secrets adapter, and what it declared that it can do."""

from __future__ import annotations

from tradesense.core.audit.models import Actor
from tradesense.core.capabilities import Capability
from tradesense.core.errors import InvalidInput
from tradesense.core.secrets.ports import (
    DescribedSecretStore,
    EnvelopeStore,
    ErasableSecretStore,
    RecoverableSecretStore,
    RetainingSecretStore,
    RotatingSecretStore,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)

MAX_AUTHOR = 200
"""Characters."""


class Provider:
    """One chosen secrets adapter with what it declared, so that no one has to guess.

    ``joined`` says that its writes join the transactions of the audit log. Each method that returns the store as one
    that can do more raises :class:`InvalidInput` where it was not declared.
    """

    def __init__(self, name: str, store: SecretStore, capabilities: frozenset[Capability], *, joined: bool) -> None:
        self.name = name
        self.store = store
        self.capabilities = capabilities
        self.joined = joined

    # What follows hands out the store under another type: the capability declares it, the contract suite proves it.

    def writable(self) -> WritableSecretStore:
        """The store, if it can be written."""
        self.need(Capability.WRITE, "cannot be written")
        return self.store  # type: ignore[return-value]  # see above

    def versioned(self) -> VersionedSecretStore:
        """The store, if it keeps versions."""
        self.need(Capability.VERSIONS, "keeps no versions")
        return self.store  # type: ignore[return-value]  # see above

    def recoverable(self) -> RecoverableSecretStore:
        """The store, if it takes deletions back."""
        self.need(Capability.UNDELETE, "deletes for good, so that there is nothing to bring back or to destroy")
        return self.store  # type: ignore[return-value]  # see above

    def erasable(self) -> ErasableSecretStore:
        """The store, if single versions can be deleted and destroyed."""
        self.need(Capability.ERASE, "cannot delete, bring back or destroy single versions")
        return self.store  # type: ignore[return-value]  # see above

    def described(self) -> DescribedSecretStore:
        """The store, if it keeps metadata."""
        self.need(Capability.METADATA, "keeps no metadata")
        return self.store  # type: ignore[return-value]  # see above

    def retaining(self) -> RetainingSecretStore:
        """The store, if it lets versions go by number and age."""
        self.need(Capability.RETENTION, "does not let old versions go by itself")
        return self.store  # type: ignore[return-value]  # see above

    def rotating(self) -> RotatingSecretStore:
        """The store, if versions can be staged."""
        self.need(Capability.ROTATION, "cannot stage a version before it is current")
        return self.store  # type: ignore[return-value]  # see above

    def enveloped(self) -> EnvelopeStore:
        """The store, if it keeps envelopes."""
        self.need(Capability.ENVELOPES, "keeps no envelopes of ours; its keys are its own")
        return self.store  # type: ignore[return-value]  # see above

    def author(self, actor: Actor) -> dict[str, str]:
        """What a write is told of who writes, if the provider keeps it."""
        if Capability.AUTHORS not in self.capabilities:
            return {}
        text = f"{actor.kind}:{actor.id}" if actor.id else actor.kind
        return {"by": "".join(filter(str.isprintable, text))[:MAX_AUTHOR]}

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
