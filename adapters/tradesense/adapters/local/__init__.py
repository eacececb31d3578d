"""What needs no other machine: ciphers, keys of the settings, compression, flags in a file, and tokens of Fernet."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.local.settings import FernetSettings, FlagFileSettings, LocalKeySettings
from tradesense.core.cache.ports import Compressor
from tradesense.core.capabilities import Capability
from tradesense.core.flags.ports import FlagStore, SegmentStore
from tradesense.core.secrets.ports import Aead, KeyEncryption, Rotator, SecretStore
from tradesense.plugins import Adapter, Requirement, hookimpl

_FILE = frozenset({Capability.PERSISTENT, Capability.SHARED})
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
            port=FlagStore,
            name="file",
            factory="tradesense.adapters.local.flags:flag_store",
            summary="Flags in a JSON file, ours or flagd's, read again when it has changed",
            settings=FlagFileSettings,
            capabilities=_FILE,
        ),
        Adapter(
            port=SegmentStore,
            name="file",
            factory="tradesense.adapters.local.flags:segment_store",
            summary="Segments in the same file as the flags",
            settings=FlagFileSettings,
            capabilities=_FILE,
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
        Adapter(
            port=SecretStore,
            name="fernet",
            factory="tradesense.adapters.local.secrets:fernet",
            summary="Fernet tokens in a file that another system has sealed, read-only, to be moved",
            settings=FernetSettings,
            requires=_CRYPTOGRAPHY,
        ),
    )
