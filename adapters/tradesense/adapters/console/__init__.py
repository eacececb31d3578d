"""Messages for a person at a terminal, in development."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.core.identity.ports import Messenger
from tradesense.plugins import Adapter, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=Messenger,
            name="console",
            factory="tradesense.adapters.console.identity:messenger",
            summary="Prints messages on the standard error stream instead of sending them",
        ),
    )
