"""The part of `tradesense secrets` about what is kept of a secret besides its value, and about changing part of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tradesense.core.acting import as_operator
from tradesense.core.errors import InvalidInput
from tradesense.entrypoints.cli.output import output_option, show_one, tell
from tradesense.entrypoints.cli.session import operator, work

if TYPE_CHECKING:
    from tradesense.core.secrets.models import Retention
    from tradesense.entrypoints.services import Services


@click.command()
@click.argument("path")
@click.option("--stdin", "piped", is_flag=True, required=True, help="Read the change from standard input.")
@click.option("--cas", type=click.IntRange(min=1), help="Write only if this version is current.")
@output_option
@as_operator("secrets:write", "secrets.patch")
def patch(path: str, *, piped: bool, cas: int | None, output: str) -> None:  # noqa: ARG001  # it says where secrets come from
    """Merge a JSON object into the value of PATH, which must be one, as a new version.

    A field that is null in the change is removed (RFC 7396).
    """
    try:
        changes = msgspec.json.decode(sys.stdin.buffer.read(), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # Neither the text nor the parser's error is shown: it may hold a secret.
        raise InvalidInput("the change is no JSON object", origin="standard input") from None

    async def write(services: Services) -> tuple[int, str]:
        version = await services.secrets.patch(path, changes, cas=cas, actor=operator())
        return version, services.secrets.provider

    version, provider = work(write, keeps="secrets.provider")
    show_one({"path": path, "version": version, "provider": provider}, output)


@click.command()
@click.argument("path")
@output_option
@as_operator("secrets:read")
def metadata(path: str, output: str) -> None:
    """Show the custom metadata of the secret at PATH, which are not secret."""

    async def read(services: Services) -> dict[str, str]:
        return dict(await services.secrets.metadata(path))

    show_one(work(read), output)


@click.command()
@click.argument("path")
@click.argument("entries", nargs=-1, metavar="[KEY=VALUE]...")
@output_option
@as_operator("secrets:write", "secrets.describe")
def describe(path: str, entries: tuple[str, ...], output: str) -> None:
    """Replace all custom metadata of the secret at PATH; without entries there are none. They are not secret."""
    custom: dict[str, str] = {}
    for entry in entries:
        key, separator, value = entry.partition("=")
        if not separator or key in custom:
            raise click.BadParameter(f"{entry!r} is not KEY=VALUE, or names a key twice", param_hint="KEY=VALUE")
        custom[key] = value

    async def change(services: Services) -> None:
        await services.secrets.describe(path, custom, actor=operator())

    work(change, keeps="secrets.provider")
    tell(f"{path} has {len(custom)} entries of metadata", {"path": path, "metadata": custom}, output)


@click.command()
@click.argument("path")
@output_option
@as_operator("secrets:read")
def retention(path: str, output: str) -> None:
    """Show how many versions are kept of PATH, and for how long."""

    async def read(services: Services) -> Retention:
        return await services.secrets.retention(path)

    found = work(read)
    show_one({"path": path, "max_versions": found.max_versions, "delete_after": found.delete_after}, output)


@click.command()
@click.argument("path")
@click.option(
    "--max-versions", type=click.IntRange(min=0), help="Older ones are gone for good; 0: the provider's choice."
)
@click.option(
    "--delete-after", type=click.FloatRange(min=0), metavar="SECONDS", help="Of versions written from now on; 0: never."
)
@output_option
@as_operator("secrets:write", "secrets.retain")
def retain(path: str, *, max_versions: int | None, delete_after: float | None, output: str) -> None:
    """Say how many versions of PATH are kept, and for how long. What is not named stays as it is."""
    if max_versions is None and delete_after is None:
        raise click.UsageError("name --max-versions or --delete-after")

    async def change(services: Services) -> Retention:
        wanted = await services.secrets.retention(path)
        if max_versions is not None:
            wanted = msgspec.structs.replace(wanted, max_versions=max_versions)
        if delete_after is not None:
            wanted = msgspec.structs.replace(wanted, delete_after=delete_after)
        await services.secrets.retain(path, wanted, actor=operator())
        return wanted

    made = work(change, keeps="secrets.provider")
    kept = f"the newest {made.max_versions}" if made.max_versions else "as many as the provider likes"
    span = f"{made.delete_after:g} s" if made.delete_after else "ever"
    fields = {"path": path, "max_versions": made.max_versions, "delete_after": made.delete_after}
    tell(f"versions of {path} that are kept: {kept}; for {span}", fields, output)


COMMANDS: tuple[click.Command, ...] = (patch, metadata, describe, retention, retain)
