"""``[secrets.vault]``: how the server is reached."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret

_PATH = r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*"


class VaultSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server, the token and the engine."""

    token: Secret
    """What authenticates this deployment; see the policy that it needs in the description of the provider."""
    url: Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+/?\Z")] = "http://127.0.0.1:8200"
    """The server's address, without a path. Use ``https`` for everything but loopback."""
    mount: Annotated[str, Meta(pattern=rf"^{_PATH}\Z")] = "secret"
    """Where the KV engine is mounted."""
    namespace: Annotated[str, Meta(pattern=rf"^({_PATH}/?)?\Z")] = ""
    """The namespace that the mount is in; empty for the root."""
    ca_file: str = ""
    """A PEM file with the authority that signed the server's certificate; empty for the system's authorities."""
    timeout: Annotated[float, Meta(gt=0, le=60)] = 3.0
    """Seconds that one operation may take, its retry included."""
