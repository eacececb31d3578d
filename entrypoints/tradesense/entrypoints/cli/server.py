"""`tradesense serve` and `tradesense demo`."""

from __future__ import annotations

import gc

import click

from tradesense.core.acting import at_machine
from tradesense.entrypoints.cli.session import loaded


@click.command()
@click.option("--host", help="The address to listen on.  [default: setting http.host]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 picks a free one.  [default: setting http.port]")
@click.option("--processes", type=click.IntRange(min=1), help="How many answer.  [default: setting http.processes]")
@click.pass_context
@at_machine("identity.create")
def serve(ctx: click.Context, host: str | None, port: int | None, processes: int | None) -> None:
    """Answer HTTP requests until stopped.

    Prints `url: …` when it is ready. On the first start in development it makes an administrator and prints
    `admin: EMAIL PASSWORD`, once.
    """
    gc.disable()  # what is made until the server is ready stays, so that there is nothing to find; `lifespan` goes on
    from tradesense.entrypoints.http.serve import serve as run  # noqa: PLC0415  # heavy: `--help` need not pay for it

    given = {"http.host": host, "http.port": port, "http.processes": processes}
    found = loaded({key: value for key, value in given.items() if value is not None})
    http = found.settings.http
    ctx.exit(run(found, host=http.host, port=http.port, processes=http.processes))


@click.command()
@click.pass_context
@at_machine()
def demo(ctx: click.Context) -> None:
    """Take the tour: a real server, a real client, every room once.

    Ends by itself, with a table of what was seen.
    """
    from tradesense.entrypoints.demo import run  # noqa: PLC0415  # heavy, as above

    ctx.exit(run())
