"""What anyone may read, as one document that is read through the cache."""

from __future__ import annotations

from typing import Any

import msgspec

from tradesense.core.cache.options import EntryOptions
from tradesense.core.cache.refresh import Refresh
from tradesense.core.cache.service import HybridCache
from tradesense.core.config.ports import SettingsStore
from tradesense.core.paging import MAX_PAGE

CACHE = "config"
"""The name of the cache: ``[cache.named.config]`` in settings, ``config:public`` for operators."""
KEY = "public"
OPTIONS = EntryOptions(ttl=10.0)
"""A change is told to every process at once; one whose notice is lost is seen after this at the latest."""


class Published:
    """The public settings of one deployment."""

    def __init__(self, *, store: SettingsStore, cache: HybridCache) -> None:
        self._store = store
        self._cache = cache.named(CACHE, bytes, options=OPTIONS)

    async def document(self) -> bytes:
        """Key and value of every public setting as one JSON object; the same settings give the same bytes.

        :raises DatabaseUnavailable: it is not in the cache, and the store is away.
        """
        return await self._cache.get_or_set(KEY, self._read) or b"{}"

    async def changed(self) -> None:
        """Let no process serve the document as it was."""
        await self._cache.remove(KEY)

    async def _read(self, _: Refresh[bytes]) -> bytes:
        found: dict[str, Any] = {}
        cursor: str | None = None
        while True:
            page = await self._store.list(cursor=cursor, limit=MAX_PAGE)
            found.update({setting.key: setting.value for setting in page.items if setting.public})
            if (cursor := page.cursor) is None:
                return msgspec.json.encode(found, order="deterministic")
