"""Runtime settings in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

import msgspec

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState, SortedTable, Table, page
from tradesense.core.ambient import Clock
from tradesense.core.config.models import Setting, check_key
from tradesense.core.config.ports import SettingsStore
from tradesense.core.errors import SettingConflict, SettingNotFound
from tradesense.core.paging import Page, check_cursor
from tradesense.plugins.manifest import AdapterContext, NoSettings


class _Rows:
    """Settings are kept encoded, as their values could be changed by who was given them."""

    def __init__(self, state: MemoryState) -> None:
        self.settings: SortedTable[str, bytes] = SortedTable(state)
        self.histories: Table[str, tuple[bytes, ...]] = Table(state)


class MemorySettingsStore(Lifecycle):
    """Settings that end with the process. See :class:`SettingsStore`."""

    def __init__(self, state: MemoryState, *, clock: Clock) -> None:
        super().__init__()
        self.state = state
        self._rows = state.part(_Rows)
        self._clock = clock

    async def get(self, key: str) -> Setting:
        """See :meth:`SettingsStore.get`."""
        self.check_open()
        return self._setting(key)

    async def put(
        self, key: str, value: Any, *, public: bool = False, expected: int | None = None, by: str = ""
    ) -> Setting:
        """See :meth:`SettingsStore.put`."""
        self.check_open()
        async with self.state.begin():
            row = self._rows.settings.get(key)
            _expect(key, 0 if row is None else _decode(row).revision, expected)
            written = self._write(key, value, public=public, by=by)
            self._rows.settings.put(key, written)
        return _decode(written)

    async def delete(self, key: str, *, expected: int | None = None, by: str = "") -> None:
        """See :meth:`SettingsStore.delete`."""
        self.check_open()
        async with self.state.begin():
            setting = self._setting(key)
            _expect(key, setting.revision, expected)
            self._write(key, None, public=setting.public, by=by, deleted=True)
            self._rows.settings.remove(key)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[Setting]:
        """See :meth:`SettingsStore.list`."""
        self.check_open()
        check_cursor(cursor, check_key, prefix=prefix)
        return page(self._under(prefix, cursor), limit)

    async def history(self, key: str) -> Sequence[Setting]:
        """See :meth:`SettingsStore.history`."""
        self.check_open()
        return tuple(_decode(row) for row in self._rows.histories.get(key) or ())

    def _setting(self, key: str) -> Setting:
        row = self._rows.settings.get(key)
        if row is None:
            raise SettingNotFound(f"there is no setting {key!r}")
        return _decode(row)

    def _write(self, key: str, value: Any, *, public: bool, by: str, deleted: bool = False) -> bytes:
        """Add the next revision to the history of ``key`` and return its row."""
        history = self._rows.histories.get(key) or ()
        setting = Setting(
            key=key,
            value=value,
            public=public,
            revision=len(history) + 1,
            updated_at=self._clock.now(),
            updated_by=by,
            deleted=deleted,
        )
        row = msgspec.json.encode(setting)
        self._rows.histories.put(key, (*history, row))
        return row

    def _under(self, prefix: str, cursor: str | None) -> Iterator[tuple[str, Setting]]:
        rows = self._rows.settings.scan(cursor or prefix, after=cursor is not None)
        return ((key, _decode(row)) for key, row in takewhile(lambda row: row[0].startswith(prefix), rows))


def _expect(key: str, current: int, expected: int | None) -> None:
    """:raises SettingConflict: ``expected`` is not the current revision."""
    if expected is not None and expected != current:
        raise SettingConflict(f"setting {key!r} has revision {current}, not {expected}", mend="read it again")


def _decode(row: bytes) -> Setting:
    return msgspec.json.decode(row, type=Setting)


def store(_: NoSettings, context: AdapterContext) -> MemorySettingsStore:
    """The factory."""
    return MemorySettingsStore(context.share(MemoryState, MemoryState), clock=context.clock)


_: type[SettingsStore] = MemorySettingsStore
