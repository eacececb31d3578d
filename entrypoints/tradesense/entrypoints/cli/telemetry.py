"""`tradesense health` and `tradesense doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tradesense.core.acting import as_operator
from tradesense.entrypoints.cli.failures import UNAVAILABLE
from tradesense.entrypoints.cli.output import output_option, show_json, show_rows
from tradesense.entrypoints.cli.session import work

if TYPE_CHECKING:
    from tradesense.core.telemetry.service import Report
    from tradesense.entrypoints.services import Services


@click.command()
@output_option
@click.pass_context
@as_operator("telemetry:read")
def health(ctx: click.Context, output: str) -> None:
    """Ask everything that the platform depends on how it is.

    Exit 69 if something is down.
    """
    from tradesense.core.telemetry.models import Status  # noqa: PLC0415  # heavy: `--help` need not pay for it

    async def ask(services: Services) -> Report:
        return await services.health.report()

    report = work(ask)
    if output == "json":
        show_json(report)
    else:
        rows = [{"check": one.name, "status": one.status, "detail": one.detail} for one in report.checks]
        show_rows([*rows, {"check": "all", "status": report.status}], ["check", "status", "detail"], output)
    if report.status is Status.DOWN:
        ctx.exit(UNAVAILABLE)


@click.command()
@output_option
@click.pass_context
@as_operator("telemetry:read")
def doctor(ctx: click.Context, output: str) -> None:
    """Look at the whole set-up: packages, plugins, settings, servers.

    Tells what is wrong with it and what mends it.

    Exit 78 if the configuration is wrong, 69 if something that it needs does not answer.
    """
    from tradesense.entrypoints.cli.examination import examine  # noqa: PLC0415  # heavy, as above

    findings, code = examine()
    show_rows(findings, ["check", "status", "detail"], output)
    ctx.exit(code)
