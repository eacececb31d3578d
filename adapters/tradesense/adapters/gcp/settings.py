"""``[secrets.gcp]``: the project, the credentials, and where to look."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class GcpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Google Cloud's Secret Manager."""

    project: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9:.-]{0,62}\Z")]
    """The project's id or number."""
    location: Annotated[str, Meta(pattern=r"^([a-z]+-[a-z]+\d)?\Z")] = ""
    """The region of regional secrets, as in ``europe-west3``; empty for global ones."""
    replicas: tuple[str, ...] = ()
    """Where new global secrets are kept, as in ``["europe-west1", "europe-west3"]``; empty to let Google choose."""
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{0,64}\Z")] = ""
    """What stands before each secret's id."""
    credentials_file: str = ""
    """A service account's JSON file; empty for the application default credentials, workload identity among them."""
    endpoint: Annotated[str, Meta(pattern=r"^([^\s/@?#]+)?\Z")] = ""
    """Host, and port where it is not 443, of another endpoint than Google's own."""
    plaintext: bool = False
    """Speak without TLS and without credentials, as emulators do."""
    timeout: Annotated[float, Meta(gt=0, le=60)] = 5.0
    """Seconds that one operation may take, its retries included."""
