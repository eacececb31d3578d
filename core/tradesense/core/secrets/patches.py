"""Changing parts of a value that is a JSON object (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from tradesense.core.errors import InvalidInput, SecretNotFound
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


def field_of(value: Secret, field: str) -> Secret:
    """The text that stands in ``field`` of a value that is a JSON object.

    :raises SecretNotFound: there is no such text. The message holds nothing of the value.
    """
    try:
        found = msgspec.json.decode(value.reveal_bytes(), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = {}
    text = found.get(field)
    if not isinstance(text, str):
        raise SecretNotFound(f"the secret is no JSON object with a text in {field[:80]!r}")
    return Secret(text)


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
