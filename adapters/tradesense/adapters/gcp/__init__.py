"""Google Cloud: secrets in Secret Manager.

The role ``roles/secretmanager.admin`` may do everything; to read secrets alone, ``roles/secretmanager.secretAccessor``
and ``roles/secretmanager.viewer`` are enough. Conditions can bind them to ids that begin with ``secrets.gcp.prefix``.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.gcp.settings import GcpSettings
from tradesense.core.capabilities import Capability
from tradesense.core.secrets.ports import SecretStore
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The secret store."""
    return (
        Adapter(
            port=SecretStore,
            name="gcp",
            factory="tradesense.adapters.gcp.secrets:store",
            summary="Secrets in Google Cloud's Secret Manager, with checksums",
            settings=GcpSettings,
            section="secrets.gcp",
            capabilities=frozenset(
                {
                    Capability.WRITE,
                    Capability.CAS,
                    Capability.VERSIONS,
                    Capability.ROTATION,
                    Capability.ERASE,
                    Capability.METADATA,
                    Capability.BINARY,
                    Capability.PERSISTENT,
                    Capability.SHARED,
                }
            ),
            requires=(
                Requirement("google.cloud.secretmanager_v1", "google-cloud-secret-manager", "gcp"),
                Requirement("google_crc32c", "google-crc32c", "gcp"),
                Requirement("stamina", "stamina", "gcp"),
            ),
        ),
    )
