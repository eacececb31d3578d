"""``[secrets.azure]``: the vault, and who we are."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret


class AzureSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Azure Key Vault."""

    url: Annotated[str, Meta(pattern=r"^https://[^/?#@\s]+/?\Z")]
    """The vault's address, as in ``https://NAME.vault.azure.net``."""
    login: Literal["client-secret", "managed-identity", "workload-identity"] = "managed-identity"
    """How we authenticate: by an application's secret, or by the identity of the machine or of the Kubernetes pod."""
    tenant_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]*\Z")] = ""
    """The Entra tenant; needed for ``client-secret``."""
    client_id: str = ""
    """The application, or the user-assigned identity; needed for ``client-secret``."""
    client_secret: Secret = Secret("")
    """The application's secret."""
    authority: Annotated[str, Meta(pattern=r"^https://[^/?#@\s]+/?\Z")] = "https://login.microsoftonline.com"
    """Who issues tokens; other clouds have their own."""
    check_resource: bool = True
    """Refuse a vault that asks for tokens of another domain than its own. False only for an emulator."""
    prefix: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9]{0,30}-0)?\Z")] = ""
    """What stands before each name, as in ``app-0`` (``-0`` stands for a hyphen)."""
    ca_file: str = ""
    """A PEM file with the authority that signed the vault's certificate; empty for the system's authorities."""
    timeout: Annotated[float, Meta(gt=0, le=120)] = 10.0
    """Seconds that one request may take, its retries included. Deleting and recovering may wait as long again."""
    poll: Annotated[float, Meta(gt=0, le=10)] = 1.0
    """Seconds between two looks at whether a deletion or a recovery is done."""
