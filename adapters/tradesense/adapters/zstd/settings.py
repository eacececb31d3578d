"""``[cache.zstd]``: how large values are made smaller."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class ZstdSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of the compressor."""

    level: Annotated[int, Meta(ge=1, le=19)] = 3
    """From the quickest to the smallest."""
