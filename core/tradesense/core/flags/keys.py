"""Names and sizes: what a definition may be called, and how large it may grow."""

from __future__ import annotations

import re

from tradesense.core.errors import InvalidFlag

MAX_RULES = 100
MAX_VARIANTS = 100
MAX_CONDITIONS = 50
MAX_VALUES = 10_000
"""Values in one condition, and users in one list."""
MAX_ENCODED = 64 * 1024
"""Bytes of the JSON text of a definition."""
MAX_DESCRIPTION = 2_000
"""Characters."""
MAX_NAME = 200
"""Characters of a variant's name, of an attribute, of a tag."""
MAX_TAGS = 50
MAX_STEPS = 50
"""Steps of one ramp."""
MAX_PREREQUISITES = 20
MAX_TEXT = 4_096
"""Characters of an attribute that patterns and ``contains`` look at; a longer one matches neither."""
MAX_PATTERN = 1_024
"""Bytes of a pattern (SECURITY R60)."""
MAX_WHOLE = 2**53
"""Whole numbers beyond it are another number to those who read JSON as JavaScript does (RFC 8259, section 6)."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def check_key(key: str) -> str:
    """Return ``key`` when it is the key of a flag or a segment: 1 to 200 letters, digits, ``.``, ``_``, ``-``.

    :raises InvalidFlag: anything else.
    """
    if not _KEY.fullmatch(key):
        raise InvalidFlag(f"{key[:80]!r} is not a flag's key", mend="use letters, digits, '.', '_' and '-'")
    return key
