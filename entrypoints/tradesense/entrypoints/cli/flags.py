"""`tradesense flags`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import msgspec

from tradesense.core.acting import as_operator
from tradesense.core.flags.flagd import document
from tradesense.core.flags.kinds import FLAG
from tradesense.entrypoints.cli.changes import changes
from tradesense.entrypoints.cli.definitions import add_commands
from tradesense.entrypoints.cli.experiments import results
from tradesense.entrypoints.cli.failures import FAILED
from tradesense.entrypoints.cli.output import output_option, show_json, show_one, show_rows
from tradesense.entrypoints.cli.session import operator, pages, work

if TYPE_CHECKING:
    from tradesense.core.flags.explain import Explanation
    from tradesense.core.flags.models import Evaluation, StoredFlag
    from tradesense.entrypoints.services import Services


@click.group()
def flags() -> None:
    """Read, write and evaluate feature flags."""


flags.add_command(results)
flags.add_command(changes)
add_commands(flags, FLAG, lambda services: services.flags)


@flags.command("list")
@click.option("--stale", is_flag=True, help="Those alone that are past their `expires` and not archived.")
@output_option
@as_operator("flags:read")
def list_(output: str, *, stale: bool) -> None:
    """List all flags. A flag is stale that should be gone by now."""

    async def read(services: Services) -> list[tuple[StoredFlag, bool]]:
        listed = pages(partial(services.flags.list, stale=stale))
        return [(stored, services.flags.is_stale(stored.flag)) async for stored in listed]

    rows = [
        {
            "key": stored.flag.key,
            "enabled": stored.flag.enabled,
            "default": stored.flag.default_variant,
            "variants": list(stored.flag.variants),
            "rules": len(stored.flag.rules),
            "revision": stored.revision,
            "owner": stored.flag.owner,
            "expires": stored.flag.expires,
            "stale": past,
            "updated_at": stored.updated_at,
        }
        for stored, past in work(read)
    ]
    columns = ["key", "enabled", "default", "variants", "rules", "revision"]
    show_rows(rows, [*columns, "owner", "expires"] if stale else [*columns, "stale"], output)


@flags.command()
@click.argument("key")
@click.argument("to", type=click.Choice(["on", "off"]))
@output_option
@as_operator("flags:write", "flags.switch")
def switch(key: str, to: str, output: str) -> None:
    """Enable or disable the flag KEY, whatever else stands in it. To disable needs no approval (`flags.review`)."""
    stored = work(lambda services: services.flags.switch(key, on=to == "on", actor=operator()), keeps="flags.provider")
    show_one({"key": key, "enabled": stored.flag.enabled, "revision": stored.revision}, output)


@flags.command("eval")
@click.argument("key")
@click.option("--context", default="{}", metavar="JSON", help='Whom it is evaluated for, as in {"targetingKey": "u1"}.')
@output_option
@click.pass_context
@as_operator("flags:evaluate")
def eval_(ctx: click.Context, key: str, context: str, output: str) -> None:
    """Evaluate the flag KEY; exit 1 if there is no value."""
    known = _context(context)

    async def evaluate(services: Services) -> Evaluation:
        return await services.flags.evaluate(key, known)

    found = work(evaluate)
    value = msgspec.json.encode(found.value).decode() if output == "table" else found.value
    fields = {
        "key": found.key,
        "value": value,
        "variant": found.variant,
        "reason": found.reason,
        "error_code": found.error_code,
        "error_details": found.error_details,
    }
    show_one({name: field for name, field in fields.items() if not name.startswith("error") or field}, output)
    if found.error_code is not None:
        ctx.exit(FAILED)


@flags.command()
@click.argument("key")
@click.option("--context", default="{}", metavar="JSON", help='Whom it is evaluated for, as in {"targetingKey": "u1"}.')
@output_option
@as_operator("flags:read")
def explain(key: str, context: str, output: str) -> None:
    """Say why the flag KEY serves what it serves: which rule, which bucket, why not the others."""
    known = _context(context)

    async def ask(services: Services) -> Explanation:
        return await services.flags.explain(key, known)

    found = work(ask)
    if output == "json":
        show_json(found)
        return
    rows = [
        {
            "step": step.path,
            "outcome": step.outcome,
            "why": step.why,
            "buckets": ", ".join(f"{name} {percent:.3f} %" for name, percent in step.buckets.items()),
        }
        for step in found.steps
    ]
    show_rows(rows, ["step", "outcome", "why", "buckets"], output)


@flags.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--format", "form", type=click.Choice(["flagd"]), default="flagd", help="What FILE is written in.")
@click.option("--generation", type=click.Choice(["1", "2"]), default="2", help="Of the bucketing of `fractional`.")
@output_option
@as_operator("flags:write", "flags.import", "flags.put")
def import_(file: BinaryIO, form: str, generation: str, output: str) -> None:  # noqa: ARG001  # there is one format
    """Write all flags of FILE, a JSON document of flagd; none, where one cannot be evaluated or written."""
    found = document.read(file.read(), generation=1 if generation == "1" else 2)

    async def write(services: Services) -> tuple[StoredFlag, ...]:
        return await services.flags.adopt(found, actor=operator())

    rows = [{"key": stored.flag.key, "revision": stored.revision} for stored in work(write, keeps="flags.provider")]
    show_rows(rows, ["key", "revision"], output)


@flags.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["flagd", "native"]),
    default="flagd",
    help="What is written; flagd if left out.",
)
@output_option
@as_operator("flags:read")
def export(form: str, output: str) -> None:  # noqa: ARG001  # a document is JSON either way
    """Print all flags as one JSON document: flagd's, or a list of definitions fit for `flags set`."""

    async def read(services: Services) -> list[StoredFlag]:
        return [stored async for stored in pages(services.flags.list)]

    found = [stored.flag for stored in work(read)]
    if form == "native":
        show_json(found)
    else:
        click.echo(document.write(found))


def _context(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise click.BadParameter(f"it is not a JSON object: {error}", param_hint="--context") from error
