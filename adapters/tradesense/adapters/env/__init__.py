"""Secrets from environment variables, read-only."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.env.settings import EnvSettings
from tradesense.core.secrets.ports import SecretStore
from tradesense.plugins import Adapter, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=SecretStore,
            name="env",
            factory="tradesense.adapters.env.secrets:store",
            summary="Environment variables, read-only",
            settings=EnvSettings,
        ),
    )
