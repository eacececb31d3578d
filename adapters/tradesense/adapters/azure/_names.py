"""Paths as names of secrets, and back.

A name holds letters, digits and ``-`` alone, 127 of them, and upper case does not count. ``--`` stands for ``/``,
``-0`` for ``-``, ``-1`` for ``.``, ``-2`` for ``_``, and ``-x`` for an upper-case ``X``: ``team-a/db/Main`` is
``team-0a--db---main``.
"""

from __future__ import annotations

import re

from tradesense.core.errors import InvalidSecretPath

MAX_NAME = 127
_TO = {"/": "--", "-": "-0", ".": "-1", "_": "-2"}
_FROM = {code: character for character, code in _TO.items()}
_CODE = re.compile(r"-(?:.|\Z)")


def secret_name(prefix: str, path: str) -> str:
    """The name that stands for ``path``.

    :raises InvalidSecretPath: it would be too long.
    """
    name = prefix + "".join(_coded(character) for character in path)
    if len(name) > MAX_NAME:
        raise InvalidSecretPath(
            f"as a name in Key Vault the path has {len(name)} characters, {MAX_NAME} are taken",
            origin="secrets.azure",
            mend="shorten the path",
        )
    return name


def path_of(prefix: str, name: str) -> str | None:
    """The path that a name stands for; ``None`` when it stands for none of ours."""
    if not name.startswith(prefix) or name.lower() != name:
        return None
    body = name.removeprefix(prefix)
    if any(code not in _FROM and not code[1:].isalpha() for code in _CODE.findall(body)):
        return None
    return _CODE.sub(lambda match: _FROM.get(match[0]) or match[0][1].upper(), body)


def _coded(character: str) -> str:
    return f"-{character.lower()}" if character.isupper() else _TO.get(character, character)
