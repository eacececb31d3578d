"""Changing parts of a value that is a JSON object (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from tradesense.core.errors import InvalidInput
from tradesense.core.sensitive import Secret


def patched(value: Secret, patch: Mapping[str, Any]) -> Secret:
    """``value`` with ``patch`` merged into it.

    :raises InvalidInput: the value is no JSON object. The message holds nothing of it.
    """
    try:
        found = msgspec.json.decode(value.reveal_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None  # told below; the decoder's error may quote the value
    if not isinstance(found, dict):
        raise InvalidInput("the value is no JSON object, so that no part of it can be changed", mend="write it anew")
    return Secret(msgspec.json.encode(merged(found, patch)))


def merged(target: Any, patch: Any) -> Any:
    """The algorithm of RFC 7396, section 2."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(cast("Mapping[str, Any]", target)) if isinstance(target, Mapping) else {}
    for key, value in cast("Mapping[str, Any]", patch).items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
