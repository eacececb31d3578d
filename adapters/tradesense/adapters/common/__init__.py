"""The 30,000 most common passwords, off line: the list that the library zxcvbn carries (MIT)."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.core.identity.ports import BreachedPasswords
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The list."""
    return (
        Adapter(
            port=BreachedPasswords,
            name="common",
            factory="tradesense.adapters.common.identity:breached",
            summary="The most common passwords, and what is made of two of them, off line",
            requires=(Requirement("zxcvbn", "zxcvbn", "server"),),
        ),
    )
