"""Two containers, one for each provider, between which secrets are moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
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


def migrate_all(
    found: Loaded,
    source: str,
    target: str,
    *,
    rows: list[Migrated],
    actor: Actor,
    prefix: str,
    dry_run: bool,
    overwrite: bool,
) -> tuple[str, ...]:
    """Move secrets, and say what is not carried over.

    :param rows: gets what became of each secret when it is done, so that it is known as well where the rest fails.
    :raises InvalidInput: source and target are one.
    """
    if source == target:
        raise InvalidInput("source and target are one provider", mend="name two")

    async def run() -> tuple[str, ...]:
        async with _opened(found, source, target, actor) as migration:
            async for row in migration.run(prefix, dry_run=dry_run, overwrite=overwrite):
                rows.append(row)  # noqa: PERF401  # each as it is done, also where the next one fails
            return migration.losses()

    return asyncio.run(run())


@asynccontextmanager
async def _opened(found: Loaded, source: str, target: str, actor: Actor) -> AsyncGenerator[Migration]:
    settings = await resolved(found.settings, found.plugins)  # by the provider in use, not by source or target
    async with (
        open_container(_with(settings, source), plugins=found.plugins) as one,
        open_container(_with(settings, target), plugins=found.plugins) as two,
    ):
        yield Migration(one.secrets, two.secrets, actor=actor, key=one.random.bytes(32))


def _with(settings: Settings, provider: str) -> Settings:
    # nothing is rotated meanwhile, and policies are for the provider that settings name
    chosen = msgspec.structs.replace(settings.secrets, provider=provider, chain=(), rotation={})
    return msgspec.structs.replace(settings, secrets=chosen)
