"""Paths as names of variables, and back.

===========================================  =================  ==========================================
in the path                                  in the variable    example
===========================================  =================  ==========================================
a lower-case letter                          its upper case     ``db`` is ``DB``
a digit                                      itself
``/``                                        ``__``             ``db/main`` is ``DB__MAIN``
``-`` between two letters or digits          ``_``              ``team-a`` is ``TEAM_A``
any other ``-``, every ``.`` and ``_``       ``___`` and its    ``db_main`` is ``DB___5FMAIN``,
                                             code in two hex    ``a.b`` is ``A___2EB``,
                                             digits             ``a--b`` is ``A___2D___2DB``
===========================================  =================  ==========================================

Two paths never have one name. A path with an upper-case letter has none.
"""

from __future__ import annotations

import re

from tradesense.core.errors import InvalidSecretPath
from tradesense.core.secrets.models import check_path

_PLAIN = re.compile(r"[a-z0-9]")
_TOKEN = re.compile(r"(?P<plain>[A-Z0-9]+)|___(?P<code>2D|2E|5F)|__(?!_)|_(?!_)")


def variable(path: str) -> str | None:
    """The name for ``path``, without the prefix; ``None`` when it has an upper-case letter."""
    parts: list[str] = []
    for place, character in enumerate(path):
        if character == "/":
            parts.append("__")
        elif _PLAIN.match(character):
            parts.append(character.upper())
        elif character.isupper():
            return None
        elif character == "-" and _is_between(path, place):
            parts.append("_")
        else:
            parts.append(f"___{ord(character):02X}")
    return "".join(parts)


def path(name: str) -> str | None:
    """The path whose name, without the prefix, is ``name``; ``None`` when there is none."""
    parts: list[str] = []
    place = 0
    while place < len(name):
        token = _TOKEN.match(name, place)
        if token is None:
            return None
        parts.append(_character(token))
        place = token.end()
    found = "".join(parts)
    try:
        check_path(found)
    except InvalidSecretPath:
        return None
    return found if variable(found) == name else None


def _is_between(path: str, place: int) -> bool:
    """Whether the character at ``place`` has letters or digits on both sides."""
    return place > 0 and bool(_PLAIN.match(path, place - 1)) and bool(_PLAIN.match(path, place + 1))


def _character(token: re.Match[str]) -> str:
    if token["plain"]:
        return token["plain"].lower()
    if token["code"]:
        return chr(int(token["code"], 16))
    return "/" if token[0] == "__" else "-"
