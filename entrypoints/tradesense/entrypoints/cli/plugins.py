"""`tradesense plugins`."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tradesense.core.acting import as_operator, at_machine
from tradesense.core.errors import NotFound, SettingsInvalid
from tradesense.entrypoints.cli.failures import FAILED
from tradesense.entrypoints.cli.output import output_option, say, show_rows
from tradesense.entrypoints.cli.session import loaded

if TYPE_CHECKING:
    from tradesense.plugins.manager import Loaded, Plugins
    from tradesense.plugins.registry import Offer


@click.group()
def plugins() -> None:
    """What is installed, what won, and a start for plugins of your own."""


@plugins.command("list")
@output_option
@as_operator("plugins:read")
def list_(output: str) -> None:
    """List the plugins that were found: what each offers, and which settings chose it."""
    found, winners = _installed()
    rows = [
        {
            "name": one.name,
            "distribution": f"{one.distribution} {one.version}",
            "state": one.state,
            "offers": sorted({f"{o.adapter.room}.{o.adapter.name}" for o in _offers(found, one.name)}),
            "chosen_by": sorted(key for key, offer in winners.items() if offer.plugin == one.name),
            "why": one.why,
        }
        for one in found.found
    ]
    show_rows(rows, ["name", "distribution", "state", "offers", "chosen_by", "why"], output)


@plugins.command()
@click.argument("name")
@output_option
@as_operator("plugins:read")
def show(name: str, output: str) -> None:
    """Show the adapters that the plugin NAME offers."""
    from tradesense.settings.sections import missing  # noqa: PLC0415  # heavy: `--help` need not pay for it

    found, winners = _installed()
    one = _named(found, name)
    rows = [
        {
            "port": f"{offer.adapter.room}.{offer.adapter.port.__name__}",
            "name": offer.adapter.name,
            "summary": offer.adapter.summary,
            "section": offer.adapter.settings_section,
            "capabilities": sorted(offer.adapter.capabilities),
            "missing": [requirement.distribution for requirement in missing(offer.adapter)],
            "stability": offer.adapter.stability,
            "chosen_by": sorted(key for key, winner in winners.items() if winner.adapter is offer.adapter),
        }
        for offer in _offers(found, name)
    ]
    if output == "table":
        click.echo(f"{one.name}: {one.distribution} {one.version}, {one.state} {one.why}".rstrip())
    show_rows(rows, ["port", "name", "capabilities", "missing", "stability", "section", "chosen_by"], output)


@plugins.command()
@click.argument("name")
@output_option
@click.pass_context
@at_machine()
def check(ctx: click.Context, name: str, output: str) -> None:
    """Load the plugin NAME and build each of its adapters, without opening any; exit 1 if one is not as it says."""
    from tradesense.entrypoints.cli.proving import prove  # noqa: PLC0415  # heavy, as above

    using = loaded()
    one = _named(using.plugins, name)
    if one.state != "loaded":
        raise NotFound(f"the plugin {name!r} is {one.state}: {one.why}")
    proofs = prove(using.plugins, _offers(using.plugins, name), using.settings)
    show_rows(proofs, ["port", "name", "ok", "detail"], output)
    if not all(proof["ok"] for proof in proofs):
        ctx.exit(FAILED)


@plugins.command()
@click.argument("room")
@click.argument("name")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), default=".", help="Where its folder is made.")
@output_option
@at_machine()
def new(room: str, name: str, into: Path, output: str) -> None:
    """Write a distribution with a provider NAME for ROOM, whose contract suite passes as written."""
    from tradesense.plugins.scaffold import write  # noqa: PLC0415  # heavy, as above

    files = write(room, name, into)
    show_rows([{"file": str(file)} for file in files], ["file"], output)
    folder = into / f"tradesense-{name}"
    say(f"next: pip install -e {folder} 'tradesense[testing]', and run pytest there")


def _installed() -> tuple[Plugins, dict[str, Offer]]:
    """The plugins, and the offers that settings chose; wrong settings choose nothing, and hide nothing."""
    from tradesense.settings.load import load_plugins  # noqa: PLC0415  # heavy, as above
    from tradesense.settings.sections import chosen  # noqa: PLC0415  # the same

    try:
        found = loaded()
    except SettingsInvalid as error:
        say(f"warning: {error.line()}")
        return load_plugins(), {}
    return found.plugins, chosen(found.settings, found.plugins.registry, found.origins)[0]


def _named(found: Plugins, name: str) -> Loaded:
    names = {one.name: one for one in found.found}
    if name not in names:
        near: list[Any] = get_close_matches(name, names, n=3, cutoff=0.4)
        mend = f"did you mean {' or '.join(near)}?" if near else "see `tradesense plugins list`"
        raise NotFound(f"no installed plugin is called {name!r}", mend=mend)
    return names[name]


def _offers(found: Plugins, name: str) -> list[Offer]:
    return [offer for offer in found.registry.offers() if offer.plugin == name]
