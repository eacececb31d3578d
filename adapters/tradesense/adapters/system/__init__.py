"""The host's clock, its random source, and identifiers made of both."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.core.ambient import Clock, Ids, Random
from tradesense.plugins import Adapter, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=Clock,
            name="system",
            factory="tradesense.adapters.system.ambient:clock",
            summary="The host's clock.",
            stability="stable",
        ),
        Adapter(
            port=Random,
            name="system",
            factory="tradesense.adapters.system.ambient:random",
            summary="The operating system's random source.",
            stability="stable",
        ),
        Adapter(
            port=Ids,
            name="system",
            factory="tradesense.adapters.system.ambient:ids",
            summary="UUID version 7, ascending within a process.",
            stability="stable",
        ),
    )
