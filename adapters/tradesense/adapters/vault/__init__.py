"""Secrets in HashiCorp Vault or OpenBao: a KV engine of version 2, by its HTTP API.

A secret's value stands in the field ``value`` of its entry, or, where it is not UTF-8 text, in ``value_base64``. The
token's policy needs ``create``, ``update`` and ``read`` on ``MOUNT/data/*``, ``update`` on ``MOUNT/delete/*``,
``MOUNT/undelete/*`` and ``MOUNT/destroy/*``, and ``list``, ``read``, ``update`` and ``delete`` on ``MOUNT/metadata/*``;
to read secrets alone, ``read`` on ``MOUNT/data/*`` is enough. An engine of version 1 needs all of these on ``MOUNT/*``.

For data keys the policy needs ``update`` on ``transit/encrypt/KEY`` and ``transit/decrypt/KEY``, and to rotate and
retire, ``create``, ``read`` and ``update`` on ``transit/keys/KEY`` and ``update`` below it.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.vault.settings import TransitSettings, VaultSettings
from tradesense.core.capabilities import Capability
from tradesense.core.secrets.ports import KeyEncryption, SecretStore
from tradesense.plugins import Adapter, Requirement, hookimpl

_REQUIRES = (Requirement("httpx2", "httpx2", "vault"), Requirement("stamina", "stamina", "vault"))


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The secret stores, and the keys of a transit engine."""
    return (
        Adapter(
            port=SecretStore,
            name="vault",
            factory="tradesense.adapters.vault.secrets:store",
            summary="Secrets in a KV version 2 engine of HashiCorp Vault or OpenBao",
            settings=VaultSettings,
            section="secrets.vault",
            capabilities=frozenset(
                {
                    Capability.WRITE,
                    Capability.CAS,
                    Capability.VERSIONS,
                    Capability.UNDELETE,
                    Capability.ERASE,
                    Capability.METADATA,
                    Capability.RETENTION,
                    Capability.BINARY,
                    Capability.PERSISTENT,
                    Capability.SHARED,
                }
            ),
            requires=_REQUIRES,
        ),
        Adapter(
            port=SecretStore,
            name="vault_v1",
            factory="tradesense.adapters.vault.secrets:store_one",
            summary="Secrets in a KV version 1 engine of HashiCorp Vault or OpenBao",
            settings=VaultSettings,
            section="secrets.vault",
            capabilities=frozenset({Capability.WRITE, Capability.BINARY, Capability.PERSISTENT, Capability.SHARED}),
            requires=_REQUIRES,
        ),
        Adapter(
            port=KeyEncryption,
            name="transit",
            factory="tradesense.adapters.vault.secrets:key_encryption",
            summary="Data keys wrapped by a transit engine of HashiCorp Vault or OpenBao",
            settings=TransitSettings,
            section="secrets.transit",
            capabilities=frozenset({Capability.KEY_RING}),
            requires=_REQUIRES,
        ),
    )
