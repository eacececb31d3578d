"""Runtime settings as the entrypoints use them: checked and audited."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.cache.service import HybridCache
from tradesense.core.config.models import Setting, check_key, check_value
from tradesense.core.config.ports import SettingsStore
from tradesense.core.config.published import Published
from tradesense.core.errors import InvalidSetting, SettingNotFound
from tradesense.core.paging import MAX_PAGE, Page


class RuntimeSettings:
    """The settings that operators change while the platform runs."""

    def __init__(self, *, store: SettingsStore, trail: AuditTrail, joined: bool, cache: HybridCache) -> None:
        self._store = store
        self._published = Published(store=store, cache=cache)
        self._trail = trail
        self._joined = joined

    async def get(self, key: str) -> Setting:
        """The setting.

        :raises InvalidSetting: the key is not valid.
        :raises SettingNotFound: there is none.
        """
        return await self._store.get(check_key(key))

    async def put(
        self,
        key: str,
        value: Any,
        *,
        actor: Actor,
        public: bool = False,
        expected: int | None = None,
        correlation_id: str = "",
    ) -> Setting:
        """Write a new revision.

        :param expected: the revision that must be current, 0 for none; any when left out.
        :raises InvalidSetting: key or value is not valid.
        :raises SettingConflict: another revision is current.
        """
        event = Event("config.put", check_key(key), actor, correlation_id)
        check_value(value)
        async with self._change(event):
            setting = await self._store.put(key, value, public=public, expected=expected, by=actor.id)
            event.detail["revision"] = str(setting.revision)
        return setting

    async def delete(self, key: str, *, actor: Actor, expected: int | None = None, correlation_id: str = "") -> None:
        """Remove the setting; its history stays.

        :raises SettingNotFound: there is none.
        :raises SettingConflict: another revision is current.
        """
        event = Event("config.delete", check_key(key), actor, correlation_id)
        async with self._change(event):
            await self._store.delete(key, expected=expected, by=actor.id)

    async def history(self, key: str) -> tuple[Setting, ...]:
        """Every revision, oldest first.

        :raises InvalidSetting: the key is not valid.
        :raises SettingNotFound: there never was such a setting.
        """
        found = tuple(await self._store.history(check_key(key)))
        if not found:
            raise SettingNotFound(f"there never was a setting {key!r}")
        return found

    async def rollback(self, key: str, revision: int, *, actor: Actor, correlation_id: str = "") -> Setting:
        """Write the value of an earlier revision as a new one.

        :raises InvalidSetting: there is no such revision, or it was a removal.
        :raises SettingNotFound: there never was such a setting.
        """
        for past in await self.history(key):
            if past.revision == revision and not past.deleted:
                return await self.put(key, past.value, actor=actor, public=past.public, correlation_id=correlation_id)
        raise InvalidSetting(f"{key!r} has no revision {revision} to go back to", mend="see its history")

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[Setting]:
        """A page of settings; ``limit`` is brought into 1 to 1000."""
        return await self._store.list(prefix, cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))

    async def public(self) -> bytes:
        """Key and value of every public setting as one JSON object, through the cache.

        :raises DatabaseUnavailable: it is not in the cache, and the store is away.
        """
        return await self._published.document()

    @asynccontextmanager
    async def _change(self, event: Event) -> AsyncGenerator[None]:
        try:
            async with self._trail.change(event, joined=self._joined):
                yield
        finally:  # also where the caller has gone, as what was begun may be done
            await self._published.changed()
