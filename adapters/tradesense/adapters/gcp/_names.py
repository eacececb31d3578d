"""Paths as ids of secrets, and back.

An id holds letters, digits, ``-`` and ``_`` alone, 255 of them. ``__`` stands for ``/``, ``_1`` for ``.`` and ``_0``
for ``_``; everything else stands for itself: ``team-a/db.main/password`` is ``team-a__db_1main__password``.
"""

from __future__ import annotations

import re

from tradesense.core.errors import InvalidSecretPath

MAX_ID = 255
_TO = {"/": "__", ".": "_1", "_": "_0"}
_FROM = {code: character for character, code in _TO.items()}
_CODE = re.compile(r"_(?:[_01]|\Z|.)")


def secret_id(prefix: str, path: str) -> str:
    """The id that stands for ``path``.

    :raises InvalidSecretPath: it would be too long.
    """
    name = prefix + "".join(_TO.get(character, character) for character in path)
    if len(name) > MAX_ID:
        raise InvalidSecretPath(
            f"as an id of Secret Manager the path has {len(name)} characters, {MAX_ID} are taken",
            origin="secrets.gcp",
            mend="shorten the path",
        )
    return name


def path_of(prefix: str, name: str) -> str | None:
    """The path that an id stands for; ``None`` when it stands for none of ours."""
    if not name.startswith(prefix):
        return None
    body = name.removeprefix(prefix)
    if any(code not in _FROM for code in _CODE.findall(body)):
        return None
    return _CODE.sub(lambda match: _FROM[match[0]], body)
