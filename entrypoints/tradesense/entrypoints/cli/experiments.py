"""`tradesense flags results`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradesense.core.acting import as_operator
from tradesense.entrypoints.cli.output import output_option, say, show_json, show_rows
from tradesense.entrypoints.cli.session import work

if TYPE_CHECKING:
    from tradesense.core.flags.experiments.results import Results
    from tradesense.entrypoints.services import Services


@click.command()
@click.argument("key")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write one HTML page with a plot to FILE as well.",
)
@output_option
@as_operator("flags:read")
def results(key: str, report: Path | None, output: str) -> None:
    """Print how the experiment of the flag KEY stands: counts, rates, and each variant against the control.

    The tests hold however often they are looked at.
    """

    async def ask(services: Services) -> Results:
        return await services.experiments.results(key)

    found = work(ask)
    if output == "json":
        show_json(found)
    else:
        _show(found)
    if report is not None:
        from tradesense.entrypoints.plots import experiments  # noqa: PLC0415  # `--help` need not pay for it

        report.write_text(experiments.report(found), encoding="utf-8")
        say(f"wrote {report}")


def _show(found: Results) -> None:
    from tradesense.entrypoints.plots import experiments  # noqa: PLC0415  # as above

    rows = [
        {
            "metric": metric.metric or "-",
            **dict(zip(experiments.HEAD, experiments.row(one), strict=True)),
        }
        for metric in found.metrics
        for one in metric.variants
    ]
    show_rows(rows, ["metric", *experiments.HEAD], "table")
    if found.mixed:
        say(f"{found.mixed} people saw several variants, and are left out")
    if found.progress is not None and found.progress > 1:
        say("the planned size is passed: what was found by its end stands, and little is found after it")
    if found.sample_ratio is not None and found.sample_ratio.mismatch:
        say("the split is another than planned: the results say nothing until it is known why")
