"""The settings of secrets from the environment."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class EnvSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[secrets.env]``: which variables hold secrets."""

    prefix: Annotated[str, Meta(pattern="^[A-Z_][A-Z0-9_]*$", max_length=100)] = "TRADESENSE_SECRET_"
    """What the names of such variables begin with."""
