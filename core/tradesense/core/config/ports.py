"""Where runtime settings are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tradesense.core.config.models import Setting
from tradesense.core.paging import Page


class SettingsStore(Protocol):
    """Settings by key with revisions. Writes join the transaction of their task, if one is open.

    Every method may raise :class:`DatabaseUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def get(self, key: str) -> Setting:
        """The setting.

        :raises SettingNotFound: there is none.
        """
        ...

    async def put(
        self, key: str, value: Any, *, public: bool = False, expected: int | None = None, by: str = ""
    ) -> Setting:
        """Write a new revision and return it. Of concurrent writes with one ``expected``, one wins.

        :param expected: the revision that must be current, 0 for none; any when left out.
        :raises SettingConflict: another revision is current; nothing was written.
        """
        ...

    async def delete(self, key: str, *, expected: int | None = None, by: str = "") -> None:
        """Remove the setting; its history stays.

        :raises SettingNotFound: there is none.
        :raises SettingConflict: another revision is current.
        """
        ...

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[Setting]:
        """The settings whose keys begin with ``prefix``, by key, ``limit`` (1 to 1000) a page.

        :raises InvalidInput: ``cursor`` is not one that this list can have given out.
        """
        ...

    async def history(self, key: str) -> Sequence[Setting]:
        """Every revision of the key, oldest first, removals included; empty for a key that never was."""
        ...
