"""Common passwords, off line."""

from __future__ import annotations

import asyncio
from functools import cache

from tradesense.core.identity.ports import BreachedPasswords
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext, NoSettings

SHORTEST_PIECE = 4
MOST_LENGTH = 64
"""Characters; what is longer is not made of two common passwords."""

_LEET = str.maketrans("@4310!5$7", "aaeiolsst")
_AROUND = "0123456789 !?.,*#_-+"
"""What people put around a word so that it passes for another."""


class CommonPasswords:
    """Knows a password that is common, whatever its case and the digits put around it, and one made of two such.

    The list is read when it is first needed. See :class:`BreachedPasswords`.
    """

    async def contains(self, password: Secret) -> bool:
        """See :meth:`BreachedPasswords.contains`."""
        try:
            text = password.reveal().casefold()
        except UnicodeDecodeError:
            return False
        if not text or len(text) > MOST_LENGTH:
            return False
        words = await asyncio.to_thread(_words)
        return any(_is_made_of(form, words) for form in _forms(text))


def _forms(text: str) -> set[str]:
    """The text as it is, without what is put around words, and with letters for the digits that look like them."""
    bare = text.strip(_AROUND)
    return {text, bare, bare.translate(_LEET)} - {""}


def _is_made_of(text: str, words: frozenset[str]) -> bool:
    if text in words:
        return True
    cuts = range(SHORTEST_PIECE, len(text) - SHORTEST_PIECE + 1)
    return any(text[:cut] in words and text[cut:].strip(_AROUND) in words for cut in cuts)


@cache
def _words() -> frozenset[str]:
    # A quarter of a second, once it is needed.
    from zxcvbn.frequency_lists import (  # type: ignore[import-untyped]  # it ships no types  # noqa: PLC0415
        FREQUENCY_LISTS,
    )

    return frozenset(FREQUENCY_LISTS["passwords"])


def breached(_: NoSettings, context: AdapterContext) -> CommonPasswords:  # noqa: ARG001  # every factory takes both
    """The factory."""
    return CommonPasswords()


_: type[BreachedPasswords] = CommonPasswords
