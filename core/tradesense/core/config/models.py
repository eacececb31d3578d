"""Settings that operators change while the platform runs."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from tradesense.core.errors import InvalidSetting

MAX_ENCODED = 64 * 1024
"""Bytes of the JSON text of one value."""

_KEY = re.compile(r"[a-z][a-z0-9_-]{0,63}(?:\.[a-z0-9][a-z0-9_-]{0,63}){0,7}")


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One runtime setting at one revision."""

    key: str
    value: Any
    """Any JSON value."""
    public: bool = False
    """Whether anyone may read it through the public configuration."""
    revision: int
    """Counts from 1 with every change of this key; a deleted key that comes back goes on counting."""
    updated_at: datetime
    updated_by: str = ""
    deleted: bool = False
    """In a history: the revision that removed the setting."""


def check_key(key: str) -> str:
    """Return ``key`` when it is one to eight dotted lower-case names, as in ``ui.theme``.

    :raises InvalidSetting: anything else.
    """
    if not _KEY.fullmatch(key):
        raise InvalidSetting(f"{key[:80]!r} is not a setting's key", mend="use lower-case names joined by dots")
    return key


def check_value(value: Any) -> Any:
    """Return ``value`` when its JSON text has at most 64 KiB.

    :raises InvalidSetting: it is larger, or not JSON.
    """
    try:
        size = len(msgspec.json.encode(value))
    except (TypeError, msgspec.MsgspecError) as error:
        raise InvalidSetting("a setting's value must be JSON") from error
    if size > MAX_ENCODED:
        raise InvalidSetting(f"a setting's value has at most {MAX_ENCODED} bytes of JSON, this one {size}")
    return value
