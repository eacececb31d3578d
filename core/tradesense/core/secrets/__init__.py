"""Secrets: reading, writing and versioning values that must not leak."""

from tradesense.core.secrets.models import SecretVersion, StoredSecret, WrappedKey
from tradesense.core.secrets.ports import (
    Aead,
    KeyEncryption,
    RotatingSecretStore,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)
from tradesense.core.sensitive import Secret

__all__ = (
    "Aead",
    "KeyEncryption",
    "RotatingSecretStore",
    "Secret",
    "SecretStore",
    "SecretVersion",
    "StoredSecret",
    "VersionedSecretStore",
    "WrappedKey",
    "WritableSecretStore",
)
