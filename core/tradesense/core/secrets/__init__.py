"""Secrets: reading, writing and versioning values that must not leak."""

from tradesense.core.secrets.models import (
    KeyStatus,
    Retention,
    Rewrapped,
    SecretVersion,
    StoredSecret,
    VersionState,
    WrappedKey,
)
from tradesense.core.secrets.ports import (
    Aead,
    DescribedSecretStore,
    EnvelopeStore,
    ErasableSecretStore,
    KeyEncryption,
    KeyRing,
    Opener,
    RecoverableSecretStore,
    RetainingSecretStore,
    RotatingSecretStore,
    Rotator,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)
from tradesense.core.sensitive import Secret

__all__ = (
    "Aead",
    "DescribedSecretStore",
    "EnvelopeStore",
    "ErasableSecretStore",
    "KeyEncryption",
    "KeyRing",
    "KeyStatus",
    "Opener",
    "RecoverableSecretStore",
    "RetainingSecretStore",
    "Retention",
    "Rewrapped",
    "RotatingSecretStore",
    "Rotator",
    "Secret",
    "SecretStore",
    "SecretVersion",
    "StoredSecret",
    "VersionState",
    "VersionedSecretStore",
    "WrappedKey",
    "WritableSecretStore",
)
