"""Going back to what was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.models import Stored

S = TypeVar("S", bound=Stored)


def past(history: Sequence[S], key: str, revision: int) -> S:
    """The revision to go back to.

    :raises InvalidFlag: there is none of this number, or it was a removal.
    """
    for stored in history:
        if stored.revision == revision and not stored.deleted:
            return stored
    raise InvalidFlag(f"{key!r} has no revision {revision} to go back to", mend="see its history")
