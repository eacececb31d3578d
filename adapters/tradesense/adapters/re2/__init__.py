"""Patterns in RE2: time that grows with the text alone, and no backreferences."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.core.flags.ports import Patterns
from tradesense.plugins import Adapter, hookimpl
from tradesense.plugins.manifest import Requirement


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=Patterns,
            name="re2",
            factory="tradesense.adapters.re2.flags:patterns",
            summary="Patterns in RE2",
            requires=(Requirement("re2", "google-re2", extra="server"),),
        ),
    )
