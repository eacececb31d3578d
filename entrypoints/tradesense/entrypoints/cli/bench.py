"""`tradesense bench`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from tradesense.core.acting import at_machine
from tradesense.entrypoints.cli.output import output_option, say, show_json, show_rows
from tradesense.entrypoints.cli.session import loaded

COLUMNS = ["adapter", "operation", "per second", "median us", "p99 us"]


@click.command()
@click.argument("room", type=click.Choice(["cache", "secrets"]))
@click.option("--adapters", default="memory", show_default=True, metavar="A,B", help="Which, separated by commas.")
@click.option(
    "--report", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write a page with plots."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the load whose hit rate the report shows.")
@output_option
@at_machine()
def bench(room: str, adapters: str, report: Path | None, seed: int, output: str) -> None:
    """Time the adapters of a room side by side.

    They are set up as the settings of this environment say. Of the cache, `hybrid` is what services hold: a first
    level in the process over the store that the settings choose.
    """
    # heavy: `--help` need not pay for it
    from tradesense.entrypoints.bench.measuring import experiment, measure  # noqa: PLC0415  # as above
    from tradesense.entrypoints.bench.report import html  # noqa: PLC0415  # as above

    names = list(dict.fromkeys(name.strip() for name in adapters.split(",") if name.strip()))
    if not names:
        raise click.BadParameter("name at least one", param_hint="--adapters")
    if report is not None and not report.parent.is_dir():
        raise click.BadParameter(f"there is no directory {report.parent}", param_hint="--report")
    found = loaded()
    if report is None:
        rows = asyncio.run(measure(room, names, found.settings, found.plugins))
    else:
        results = asyncio.run(experiment(room, names, found.settings, found.plugins, seed=seed))
        rows = list(results.rows)
        report.write_text(html(results), encoding="utf-8")
        say(f"report: {report}")
    if output == "json":
        show_json(rows)
        return
    shown = [
        dict(
            zip(
                COLUMNS,
                (row.adapter, row.label, f"{row.per_second:,.0f}", f"{row.median_us:,.1f}", f"{row.p99_us:,.1f}"),
                strict=True,
            )
        )
        for row in rows
    ]
    show_rows(shown, COLUMNS, output)
