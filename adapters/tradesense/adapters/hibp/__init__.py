"""Passwords of known breaches, by the range interface of Have I Been Pwned: five digits of a digest leave the house."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.hibp.settings import HibpSettings
from tradesense.core.identity.ports import BreachedPasswords
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The list."""
    return (
        Adapter(
            port=BreachedPasswords,
            name="hibp",
            factory="tradesense.adapters.hibp.identity:breached",
            summary="Passwords of known breaches, by a range of digests from Have I Been Pwned",
            settings=HibpSettings,
            requires=(Requirement("httpx2", "httpx2", "hibp"),),
        ),
    )
