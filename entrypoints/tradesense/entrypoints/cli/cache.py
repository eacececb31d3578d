"""`tradesense cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tradesense.entrypoints.cli.output import output_option, show_one
from tradesense.entrypoints.cli.session import work

if TYPE_CHECKING:
    from tradesense.entrypoints.services import Services

PROBE = "tradesense.cli.probe"


@click.group()
def cache() -> None:
    """The shared cache."""


@cache.command()
@output_option
def stats(output: str) -> None:
    """Tell who keeps the cache and whether it answers.

    Hits and misses are counted by each serving process; its metrics show them.
    """

    async def ask(services: Services) -> dict[str, Any]:
        await services.cache.get(PROBE)  # the shared store is known to be there only once it was asked
        chosen = services.settings.cache
        return {
            "provider": chosen.provider,
            "backplane": chosen.backplane,
            "backend_up": services.cache.stats().backend_up,
            "near_ttl": chosen.near_ttl,
        }

    show_one(work(ask), output)


@cache.command()
@click.option("--key", "keys", multiple=True, required=True, help="May be given several times.")
@output_option
def invalidate(keys: tuple[str, ...], output: str) -> None:
    """Remove keys from the shared cache and from every process."""

    async def remove(services: Services) -> int:
        return await services.cache.invalidate(keys)

    show_one({"removed": work(remove)}, output)
