"""The settings of the password hasher."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Argon2Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[identity.argon2]``: what a hash costs. The defaults are the least that ASVS 11.4.2 and appendix C allow."""

    memory_cost: Annotated[int, Meta(ge=8, le=4_194_304)] = 47_104
    """KiB that one hash fills."""
    time_cost: Annotated[int, Meta(ge=1, le=100)] = 1
    """How often it passes over them."""
    parallelism: Annotated[int, Meta(ge=1, le=64)] = 1
    """Lanes of one hash."""
    workers: Annotated[int, Meta(ge=1, le=256)] = 2
    """Hashes that are computed at once; each needs ``memory_cost``."""
    queue: Annotated[int, Meta(ge=0, le=10_000)] = 32
    """Hashes that may wait; above it the caller is told to come back."""
