"""Runtime settings in a table of revisions, beside one that says which is current."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, false, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._pages import LAST, page
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._tables import setting_revisions, settings
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.ambient import Clock
from tradesense.core.config.models import Setting, check_key
from tradesense.core.config.ports import SettingsStore
from tradesense.core.errors import SettingConflict, SettingNotFound
from tradesense.core.paging import Page, check_cursor
from tradesense.plugins.manifest import AdapterContext

_COLUMNS = (
    setting_revisions.c.key,
    setting_revisions.c.value,
    setting_revisions.c.public,
    setting_revisions.c.revision,
    setting_revisions.c.updated_at,
    setting_revisions.c.updated_by,
    setting_revisions.c.deleted,
)
_CURRENT = (
    select(*_COLUMNS)
    .select_from(
        settings.join(
            setting_revisions,
            and_(setting_revisions.c.key == settings.c.key, setting_revisions.c.revision == settings.c.revision),
        )
    )
    .where(settings.c.deleted == false())
)
ONE = Query(_CURRENT.where(settings.c.key == bindparam("key")))
_ALL = Query(
    _CURRENT.where(
        settings.c.key >= bindparam("first"), settings.c.key < bindparam("last"), settings.c.key > bindparam("after")
    )
    .order_by(settings.c.key)
    .limit(bindparam("limit"))
)
_HISTORY = Query(
    select(*_COLUMNS).where(setting_revisions.c.key == bindparam("key")).order_by(setting_revisions.c.revision),
    lagging=True,
)

_LOCKED = select(settings.c.revision, settings.c.deleted).where(settings.c.key == bindparam("key")).with_for_update()
_MOVE = (
    update(settings)
    .where(settings.c.key == bindparam("of"))
    .values(revision=bindparam("revision"), deleted=bindparam("deleted"))
)
_ADD = insert(setting_revisions)


class SqlSettingsStore(Room):
    """See :class:`SettingsStore`. Writers of one key take turns at its row, which stays when the setting is removed."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        super().__init__(database)
        self._clock = clock

    async def get(self, key: str) -> Setting:
        """See :meth:`SettingsStore.get`."""
        rows = await self._ready().fetch(ONE, {"key": key})
        if not rows:
            raise SettingNotFound(f"there is no setting {key!r}")
        return _setting(rows[0])

    async def put(
        self, key: str, value: Any, *, public: bool = False, expected: int | None = None, by: str = ""
    ) -> Setting:
        """See :meth:`SettingsStore.put`."""
        async with self._ready().writing() as connection:
            state = await _state(connection, key)
            if state is None and expected in {None, 0}:
                await _begin(connection, key)
                state = await _state(connection, key)
            current, last = state or (0, 0)
            if state is None or (expected is not None and expected != current):
                raise _conflict(key, current, expected)
            setting = Setting(
                key=key,
                value=_copy(value),
                public=public,
                revision=last + 1,
                updated_at=self._clock.now(),
                updated_by=by,
            )
            await _write(connection, setting)
        return setting

    async def delete(self, key: str, *, expected: int | None = None, by: str = "") -> None:
        """See :meth:`SettingsStore.delete`."""
        async with self._ready().writing() as connection:
            current, last = await _state(connection, key) or (0, 0)
            if current == 0:
                raise SettingNotFound(f"there is no setting {key!r}")
            if expected is not None and expected != current:
                raise _conflict(key, current, expected)
            await _write(connection, _removal(key, last + 1, self._clock.now(), by))

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[Setting]:
        """See :meth:`SettingsStore.list`."""
        after = check_cursor(cursor, check_key, prefix=prefix)
        rows = await self._ready().fetch(
            _ALL, {"first": prefix, "last": prefix + LAST, "after": after or "", "limit": limit + 1}
        )
        return page([_setting(row) for row in rows], limit, lambda setting: setting.key)

    async def history(self, key: str) -> Sequence[Setting]:
        """See :meth:`SettingsStore.history`."""
        return tuple(_setting(row) for row in await self._ready().fetch(_HISTORY, {"key": key}))


async def _state(connection: AsyncConnection, key: str) -> tuple[int, int] | None:
    """Lock the key's row; its current revision, 0 for none, and its last one. ``None`` for a key that never was."""
    row = (await connection.execute(_LOCKED, {"key": key})).first()
    if row is None:
        return None
    revision, deleted = row
    return (0 if deleted else revision), revision


async def _begin(connection: AsyncConnection, key: str) -> None:
    """Make a row, removed as yet, for a key that never was, unless another has just done so."""
    row = _upsert.insert(connection.dialect.name, settings).values(key=key, revision=0, deleted=True)
    await connection.execute(row.on_conflict_do_nothing(index_elements=["key"]))


async def _write(connection: AsyncConnection, setting: Setting) -> None:
    await connection.execute(
        _ADD,
        {
            "key": setting.key,
            "revision": setting.revision,
            "value": msgspec.json.encode(setting.value).decode(),
            "public": setting.public,
            "updated_at": setting.updated_at,
            "updated_by": setting.updated_by,
            "deleted": setting.deleted,
        },
    )
    await connection.execute(_MOVE, {"of": setting.key, "revision": setting.revision, "deleted": setting.deleted})


def _copy(value: Any) -> Any:
    """The value as it will be read, which nobody else can change."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _removal(key: str, revision: int, at: datetime, by: str) -> Setting:
    return Setting(key=key, value=None, revision=revision, updated_at=at, updated_by=by, deleted=True)


def _conflict(key: str, current: int, expected: int | None) -> SettingConflict:
    return SettingConflict(f"setting {key!r} has revision {current}, not {expected}", mend="read it again")


def _setting(row: Row) -> Setting:
    key, value, public, revision, updated_at, updated_by, deleted = row
    return Setting(
        key=key,
        value=msgspec.json.decode(value),
        public=public,
        revision=revision,
        updated_at=updated_at,
        updated_by=updated_by,
        deleted=deleted,
    )


def settings_store(settings: SqlSettings, context: AdapterContext) -> SqlSettingsStore:
    """The factory that the manifest names."""
    return SqlSettingsStore(database_of(settings, context), clock=context.clock)


_: type[SettingsStore] = SqlSettingsStore
