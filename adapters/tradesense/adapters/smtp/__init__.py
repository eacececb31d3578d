"""Mail through an SMTP server (RFC 5321), encrypted unless it is on this machine (RFC 8314)."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.smtp.settings import SmtpSettings
from tradesense.core.identity.ports import Messenger
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The messenger."""
    return (
        Adapter(
            port=Messenger,
            name="smtp",
            factory="tradesense.adapters.smtp.identity:messenger",
            summary="Mail through an SMTP server, by STARTTLS or TLS",
            settings=SmtpSettings,
            section="smtp",
            requires=(Requirement("aiosmtplib", "aiosmtplib", "server"),),
        ),
    )
