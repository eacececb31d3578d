"""`tradesense bench`."""

from __future__ import annotations

import asyncio

import click

from tradesense.entrypoints.cli.output import output_option, show_json, show_rows
from tradesense.entrypoints.cli.session import loaded


@click.command()
@click.argument("room", type=click.Choice(["cache", "secrets"]))
@click.option("--adapters", default="memory", show_default=True, metavar="A,B", help="Which, separated by commas.")
@output_option
def bench(room: str, adapters: str, output: str) -> None:
    """Time the adapters of a room side by side.

    They are set up as the settings of this environment say.
    """
    from tradesense.entrypoints.bench import measure  # noqa: PLC0415  # heavy: `--help` need not pay for it

    names = [name.strip() for name in adapters.split(",") if name.strip()]
    if not names:
        raise click.BadParameter("name at least one", param_hint="--adapters")
    found = loaded()
    rows = asyncio.run(measure(room, names, found.settings, found.plugins))
    if output == "json":
        show_json(rows)
        return
    shown = [
        {
            "adapter": row.adapter,
            "operation": row.operation,
            "per second": f"{row.per_second:,.0f}",
            "median us": f"{row.median_us:,.1f}",
            "p99 us": f"{row.p99_us:,.1f}",
        }
        for row in rows
    ]
    show_rows(shown, ["adapter", "operation", "per second", "median us", "p99 us"], output)
