"""Secrets in HashiCorp Vault or OpenBao: a KV engine of version 2, by its HTTP API.

A secret's value stands in the field ``value`` of its entry, or, where it is not UTF-8 text, in ``value_base64``. The
token's policy needs ``create``, ``update`` and ``read`` on ``MOUNT/data/*``, ``update`` on ``MOUNT/delete/*``, and
``list`` and ``read`` on ``MOUNT/metadata/*``; to read secrets alone, ``read`` on ``MOUNT/data/*`` is enough.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.vault.settings import VaultSettings
from tradesense.core.capabilities import Capability
from tradesense.core.secrets.ports import SecretStore
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The secret store."""
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
                    Capability.BINARY,
                    Capability.PERSISTENT,
                    Capability.SHARED,
                }
            ),
            requires=(Requirement("httpx2", "httpx2", "vault"), Requirement("stamina", "stamina", "vault")),
        ),
    )
