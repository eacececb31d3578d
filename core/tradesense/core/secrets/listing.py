"""A page of paths, out of all of them, for providers that list in another order or by other names than ours."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from tradesense.core.errors import InvalidSecretPath
from tradesense.core.paging import Page, check_cursor
from tradesense.core.secrets.models import check_path


def page_of(paths: Iterable[str], prefix: str, cursor: str | None, limit: int) -> Page[str]:
    """As :meth:`SecretStore.list` answers, given every path in any order; what is no path is somebody else's.

    :raises InvalidInput: ``cursor`` is not one that this list can have given out.
    """
    check_cursor(cursor, check_path, prefix=prefix)
    wanted = sorted(path for path in paths if path.startswith(prefix) and _is_path(path))
    first = 0 if cursor is None else bisect_right(wanted, cursor)
    items = tuple(wanted[first : first + limit])
    return Page(items=items, cursor=items[-1] if first + limit < len(wanted) else None)


def _is_path(name: str) -> bool:
    try:
        check_path(name)
    except InvalidSecretPath:
        return False
    return True
