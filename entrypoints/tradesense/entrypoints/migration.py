"""Two containers, one for each provider, between which secrets are moved."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from tradesense.core.errors import InvalidInput
from tradesense.core.secrets.migration import Migrated, Migration, Step
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.parts import resolved

if TYPE_CHECKING:
    from tradesense.core.audit.models import Actor
    from tradesense.settings.load import Loaded
    from tradesense.settings.schema import Settings

LEFT = frozenset({Step.REFUSED, Step.DIFFERENT, Step.UNREADABLE})
"""What is not in the target as it is in the source."""


def migrated(
    found: Loaded, source: str, target: str, *, actor: Actor, prefix: str, dry_run: bool, overwrite: bool
) -> tuple[list[Migrated], tuple[str, ...]]:
    """What became of each secret, and what is not carried over.

    :raises InvalidInput: source and target are one.
    """
    if source == target:
        raise InvalidInput("source and target are one provider", mend="name two")
    return asyncio.run(_run(found, source, target, actor=actor, prefix=prefix, dry_run=dry_run, overwrite=overwrite))


async def _run(
    found: Loaded, source: str, target: str, *, actor: Actor, prefix: str, dry_run: bool, overwrite: bool
) -> tuple[list[Migrated], tuple[str, ...]]:
    settings = await resolved(found.settings, found.plugins)  # by the provider in use, not by source or target
    async with (
        open_container(_with(settings, source), plugins=found.plugins) as one,
        open_container(_with(settings, target), plugins=found.plugins) as two,
    ):
        migration = Migration(one.secrets, two.secrets, actor=actor, key=one.random.bytes(32))
        rows = [row async for row in migration.run(prefix, dry_run=dry_run, overwrite=overwrite)]
        return rows, migration.losses()


def _with(settings: Settings, provider: str) -> Settings:
    chosen = msgspec.structs.replace(settings.secrets, provider=provider, chain=())
    return msgspec.structs.replace(settings, secrets=chosen)
