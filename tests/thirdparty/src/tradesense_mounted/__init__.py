"""Secrets that the orchestrator mounts as files."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tradesense.core.secrets import SecretStore
from tradesense.plugins import Adapter, hookimpl


class MountedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[secrets.mounted]``."""

    folder: str = "/run/secrets"
    """Where the files are."""


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    return [
        Adapter(
            port=SecretStore,
            name="mounted",
            factory="tradesense_mounted.secrets:make",
            summary="Secrets that the orchestrator mounts as files",
            settings=MountedSettings,
            stability="stable",
        )
    ]
