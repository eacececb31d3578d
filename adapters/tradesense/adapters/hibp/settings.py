"""``[identity.hibp]``: how the list is reached."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class HibpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The list, and what holds while it does not answer."""

    url: Annotated[
        str, Meta(pattern=r"^(https://[^/?#@\s]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^?#@\s]*)?\Z")
    ] = "https://api.pwnedpasswords.com/range"
    """Where ranges are asked for, or a mirror of it."""
    timeout: Annotated[float, Meta(gt=0, le=30)] = 2.0
    """Seconds until the list is taken to be away."""
    fail: Literal["closed", "open"] = "closed"
    """While the list is away: take no new password, or take it without a look."""
