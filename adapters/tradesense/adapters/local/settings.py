"""The settings of local key encryption."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret


class LocalKeySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[secrets.local]``: the key that wraps data keys."""

    root_key: Secret
    """32 random bytes in base64 (either alphabet, padded or not), or a passphrase of 15 characters at least."""
    key_id: Annotated[str, Meta(min_length=1, max_length=200)] = "local-1"
    """The key's name. It is stored with what the key wraps; another key needs another name."""
    salt: str = ""
    """With a passphrase: at least 16 characters that are this deployment's own. They need not be secret."""
