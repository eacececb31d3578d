"""What needs no other machine: the cipher, a key-encryption key that stands in the settings, and compression."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.local.settings import LocalKeySettings
from tradesense.core.cache.ports import Compressor
from tradesense.core.capabilities import Capability
from tradesense.core.secrets.ports import Aead, KeyEncryption, Rotator
from tradesense.plugins import Adapter, Requirement, hookimpl

_CRYPTOGRAPHY = (Requirement("cryptography", "cryptography", "server"),)


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=KeyEncryption,
            name="local",
            factory="tradesense.adapters.local.secrets:key_encryption",
            summary="Wraps data keys with keys of the settings and of a file",
            settings=LocalKeySettings,
            capabilities=frozenset({Capability.KEY_RING}),
            requires=_CRYPTOGRAPHY,
        ),
        Adapter(
            port=Compressor,
            name="zlib",
            factory="tradesense.adapters.local.cache:compressor",
            summary="zlib, which comes with Python",
        ),
        Adapter(
            port=Rotator,
            name="password",
            factory="tradesense.adapters.local.secrets:rotator",
            summary="Random passwords, for whoever reads the secret",
        ),
        Adapter(
            port=Aead,
            name="local",
            factory="tradesense.adapters.local.secrets:aead",
            summary="AES-256-GCM",
            requires=_CRYPTOGRAPHY,
        ),
    )
