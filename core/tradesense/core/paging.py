"""How every list in the platform is cut into pages."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

MAX_PAGE = 1000


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page, in the list's own order."""

    items: tuple[T, ...]
    cursor: str | None = None
    """Where the next page begins, opaque to the caller; ``None`` when this is the last one."""
