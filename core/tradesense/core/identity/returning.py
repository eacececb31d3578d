"""Where somebody goes on after a link of ours: a place of our own, or one that the settings name letter by letter.

A place that a stranger may choose makes our name vouch for theirs (ASVS 3.7.2). What browsers read differently than we
do is refused rather than cleaned: a path is written in one way or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote, urlsplit

from tradesense.core.errors import ConfigurationError, InvalidInput

MOST = 2048
"""Characters."""

_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*)+", re.ASCII)
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:/?-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_DECODED = re.compile(r"[\x00-\x20\x7f\\/@]")
"""What no part of a path may stand for: a control or a blank, a slash of either kind, or the end of a user's name."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Returns:
    """Judges places to go on to.

    :param allowed: URLs that are taken as they are, and none that only begins like one.
    :raises ConfigurationError: one of them is no https URL of plain letters, or has a user or a fragment. Loopback may
        go by http.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        for url in allowed:
            _check_allowed(url)
        self._allowed = frozenset(allowed)

    def check(self, place: str) -> str:
        """The place, if one may be sent there; nothing, where nothing was asked for.

        :raises InvalidInput: it is neither a path of ours nor one of the allowed URLs.
        """
        if place and not self.takes(place):
            raise InvalidInput(
                "it is not a place to return to",
                origin="return_to",
                mend="give a path of this site as in /account?tab=2, or one of identity.return_to, letter by letter",
            )
        return place

    def takes(self, place: str) -> bool:
        """Whether one may be sent there."""
        return len(place) <= MOST and (place in self._allowed or _is_own_path(place))


def _is_own_path(place: str) -> bool:
    """Whether it is a path, and perhaps a query, that every browser and every proxy reads alike.

    It has no empty part but the last, so that it never begins like an authority; no part that goes up or stays; and
    stands for no slash, backslash, control or ``@`` that somebody behind us might decode. Its letters are ASCII's.
    """
    path, separator, query = place.partition("?")
    if not _PATH.fullmatch(path) or (separator and not _QUERY.fullmatch(query)):
        return False
    parts = [unquote(part, encoding="latin-1") for part in path.split("/")[1:]]
    return not any(
        part in {".", ".."} or _DECODED.search(part) or (not part and number < len(parts) - 1)
        for number, part in enumerate(parts)
    )


def _check_allowed(url: str) -> None:
    wrong = ConfigurationError(
        f"{url!r} is no place to return to",
        origin="identity.return_to",
        mend="write whole URLs as in https://app.example.org/welcome, without user, fragment or wildcard",
    )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise wrong from error
    plain = url.isascii() and url.isprintable() and len(url) <= MOST and not set(url) & set(" \\*@#")
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not plain or not secure or not parts.hostname:
        raise wrong
