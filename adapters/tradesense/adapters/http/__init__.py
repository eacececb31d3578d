"""Webhooks over HTTPS, sent to public addresses alone."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.http.settings import HttpSenderSettings
from tradesense.core.identity.ports import WebhookSender
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=WebhookSender,
            name="http",
            factory="tradesense.adapters.http.identity:sender",
            summary="Webhooks over HTTPS, to the address that was checked",
            settings=HttpSenderSettings,
            requires=(Requirement("httpx2", "httpx2", "server"),),
        ),
    )
