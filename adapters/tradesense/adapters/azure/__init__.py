"""Microsoft Azure: secrets in Key Vault.

The role ``Key Vault Secrets Officer`` may do everything but purge, which ``Key Vault Purge Operator`` may; to read
secrets alone, ``Key Vault Secrets User`` and ``Key Vault Reader`` are enough.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.azure.settings import AzureSettings
from tradesense.core.capabilities import Capability
from tradesense.core.secrets.ports import SecretStore
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The secret store."""
    return (
        Adapter(
            port=SecretStore,
            name="azure",
            factory="tradesense.adapters.azure.secrets:store",
            summary="Secrets in Azure Key Vault, 25,000 bytes at most, with recovery",
            settings=AzureSettings,
            section="secrets.azure",
            capabilities=frozenset(
                {
                    Capability.WRITE,
                    Capability.VERSIONS,
                    Capability.UNDELETE,
                    Capability.BINARY,
                    Capability.PERSISTENT,
                    Capability.SHARED,
                }
            ),
            requires=(
                Requirement("azure.keyvault.secrets", "azure-keyvault-secrets", "azure"),
                Requirement("azure.identity", "azure-identity", "azure"),
                Requirement("aiohttp", "aiohttp", "azure"),
                Requirement("stamina", "stamina", "azure"),
            ),
        ),
    )
