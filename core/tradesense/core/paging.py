"""How every list in the platform is cut into pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from tradesense.core.errors import InvalidInput

T = TypeVar("T")

MAX_PAGE = 1000
MAX_CURSOR = 512
"""Characters."""


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page, in the list's own order."""

    items: tuple[T, ...]
    cursor: str | None = None
    """Where the next page begins, opaque to the caller; ``None`` when this is the last one."""


def check_cursor(cursor: str | None, check: Callable[[str], object], *, prefix: str = "") -> str | None:
    """Return ``cursor`` when a list whose cursors are its keys can have given it out.

    :param check: raises :class:`InvalidInput`, or ``ValueError``, for what is no key.
    :param prefix: what every key of the list begins with.
    :raises InvalidInput: it cannot; going on from it would give an arbitrary page.
    """
    if cursor is not None:
        try:
            check(cursor)
        except (InvalidInput, ValueError) as error:
            raise _not_given_out() from error
        if not cursor.startswith(prefix):
            raise _not_given_out()
    return cursor


def _not_given_out() -> InvalidInput:
    return InvalidInput("the cursor is not one that this list gave out", mend="begin without a cursor")
