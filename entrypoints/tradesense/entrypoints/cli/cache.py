"""`tradesense cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tradesense.core.acting import as_operator
from tradesense.core.errors import CacheUnavailable
from tradesense.entrypoints.cli.output import output_option, show_one
from tradesense.entrypoints.cli.session import operator, work

if TYPE_CHECKING:
    from tradesense.entrypoints.services import Services


@click.group()
def cache() -> None:
    """The shared cache."""


@cache.command()
@output_option
@as_operator("cache:read")
def stats(output: str) -> None:
    """Tell who keeps the cache and whether it answers.

    Hits and misses are counted by each serving process; its metrics and its HTTP API show them.
    """

    async def ask(services: Services) -> dict[str, Any]:
        chosen = services.settings.cache
        return {
            "provider": chosen.provider,
            "backplane": chosen.backplane,
            "backend_up": await services.cache.probe(),
            "near_ttl": chosen.near_ttl,
            "near_entries": chosen.near_entries,
            "near_bytes": chosen.near_bytes,
            "named": sorted(chosen.named),
        }

    show_one(work(ask), output)


@cache.command()
@click.option("--key", "keys", multiple=True, help="A whole key, NAME:KEY; may be given several times.")
@click.option("--tag", "tags", multiple=True, help="Everything that has this tag; may be given several times.")
@output_option
@as_operator("cache:write", "cache.invalidate")
def invalidate(keys: tuple[str, ...], tags: tuple[str, ...], output: str) -> None:
    """Let keys, and everything that has one of the tags, be served no more by any process."""
    from tradesense.core.audit.service import Event  # noqa: PLC0415  # heavy: `--help` need not pay for it

    if not (keys or tags):
        raise click.UsageError("name at least one --key or --tag")

    async def remove(services: Services) -> int:
        event = Event("cache.invalidate", f"{len(keys)} keys, {len(tags)} tags", operator())
        async with services.trail.change(event, joined=False):
            removed = await services.cache.invalidate(keys, tags=tags)
            event.detail["removed"] = "later" if removed is None else str(removed)
        if removed is None:
            # This process ends now, and with it the memory of what is still to be told.
            raise CacheUnavailable("the shared cache was not told", origin="cache.provider", mend="try again")
        return removed

    show_one({"removed": work(remove)}, output)
