"""Lists of one folder, over any provider's list of everything below it."""

from __future__ import annotations

from tradesense.core.errors import InvalidInput
from tradesense.core.paging import MAX_PAGE, Page, check_cursor
from tradesense.core.secrets.models import MAX_PATH, check_path
from tradesense.core.secrets.ports import SecretStore

_LAST = "z" * 128
"""As a segment, it sorts behind all others that a path can have."""


async def children(store: SecretStore, folder: str, *, cursor: str | None, limit: int) -> Page[str]:
    """The secrets directly in ``folder``, and the folders in it with a slash at the end, by code point.

    What lies below a folder that was met is jumped over, whatever it holds.

    :param folder: empty, or ending with a slash.
    :raises InvalidInput: ``cursor`` is not one that this list can have given out.
    """
    check_cursor(cursor, lambda text: check_path(text.removesuffix("/")), prefix=folder)
    found: list[str] = []
    after = _behind(cursor) if cursor else None
    while True:
        page = await store.list(folder, cursor=after, limit=min(limit + 1, MAX_PAGE))
        for path in page.items:
            child = _child(path, folder)
            if child not in found[-1:] and child != cursor:
                found.append(child)
                if len(found) > limit:
                    return Page(items=tuple(found[:limit]), cursor=found[limit - 1])
        if page.cursor is None:
            return Page(items=tuple(found))
        after = max(page.cursor, _behind(_child(page.items[-1], folder)))


def check_folder(folder: str) -> str:
    """Return ``folder`` when it is empty or a path that ends with a slash.

    :raises InvalidInput: it is anything else.
    """
    if folder and not folder.endswith("/"):
        raise InvalidInput(f"{folder[:80]!r} is no folder: it does not end with '/'", mend="add the slash")
    if folder:
        check_path(folder.removesuffix("/"))
    return folder


def _child(path: str, folder: str) -> str:
    name, slash, _ = path[len(folder) :].partition("/")
    return f"{folder}{name}{slash}"


def _behind(child: str) -> str:
    """A cursor behind all, or almost all, that ``child`` stands for."""
    if not child.endswith("/"):
        return child
    return f"{child}{_LAST}"[:MAX_PATH].rstrip("/")
