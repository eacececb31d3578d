"""`tradesense secrets`. Values are read from standard input or a prompt, and printed by `get` alone."""

from __future__ import annotations

import base64
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from tradesense.core.acting import as_operator, at_machine
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.cli import keeping
from tradesense.entrypoints.cli.moving import import_fernet, migrate
from tradesense.entrypoints.cli.output import output_option, say, show_json, show_one, show_rows
from tradesense.entrypoints.cli.session import loaded, operator, pages, work

if TYPE_CHECKING:
    from tradesense.core.secrets.models import SecretVersion, StoredSecret
    from tradesense.core.secrets.rotation import RotationState
    from tradesense.entrypoints.services import Services


@click.group()
def secrets() -> None:
    """Read and write secrets."""


for command in (migrate, import_fernet, *keeping.COMMANDS):
    secrets.add_command(command)


@secrets.command()
@click.argument("path")
@click.option("--version", type=click.IntRange(min=1), help="An earlier version, where the provider keeps them.")
@output_option
@as_operator("secrets:read", "secrets.get")
def get(path: str, version: int | None, output: str) -> None:
    """Print the value of the secret at PATH, byte by byte.

    With -o json, a value that is not UTF-8 comes in base64.
    """

    async def read(services: Services) -> tuple[StoredSecret, str]:
        return await services.secrets.get(path, actor=operator(), version=version), services.secrets.provider

    found, provider = work(read)
    if output == "json":
        show_json(
            {"path": path, **_encoded(found.value), "version": found.version, "provider": found.provider or provider}
        )
        return
    sys.stdout.buffer.write(found.value.reveal_bytes())
    if sys.stdout.isatty():
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


@secrets.command()
@click.argument("path")
@click.option("--stdin", "piped", is_flag=True, help="Read the value from standard input instead of a prompt.")
@click.option("--exact", is_flag=True, help="With --stdin: keep the line end that closes the input.")
@click.option("--cas", type=click.IntRange(min=0), help="Write only if this version is current; 0: only if none is.")
@output_option
@as_operator("secrets:write", "secrets.put")
def put(path: str, *, piped: bool, exact: bool, cas: int | None, output: str) -> None:
    """Write a new version of the secret at PATH."""
    value = _piped(exact=exact) if piped else _asked()

    async def write(services: Services) -> tuple[int, str]:
        version = await services.secrets.put(path, value, actor=operator(), cas=cas)
        return version, services.secrets.provider

    version, provider = work(write, keeps="secrets.provider")
    show_one({"path": path, "version": version, "provider": provider}, output)


@secrets.command("list")
@click.argument("prefix", default="")
@click.option("--folder", is_flag=True, help="Only what stands directly in the folder PREFIX, which ends with a slash.")
@output_option
@as_operator("secrets:read")
def list_(prefix: str, *, folder: bool, output: str) -> None:
    """List the paths of secrets that begin with PREFIX."""

    async def read(services: Services) -> list[str]:
        return [path async for path in pages(partial(services.secrets.list, prefix, recursive=not folder))]

    show_rows([{"path": path} for path in work(read)], ["path"], output)


_versions = click.option(
    "--version", "versions", type=click.IntRange(min=1), multiple=True, help="This version alone; may be repeated."
)


@secrets.command()
@click.argument("path")
@_versions
@as_operator("secrets:delete", "secrets.delete")
def delete(path: str, versions: tuple[int, ...]) -> None:
    """Delete the secret at PATH, or versions of it."""

    async def remove(services: Services) -> None:
        await services.secrets.delete(path, versions, actor=operator())

    work(remove)
    say(f"{_named(path, versions)} deleted")


@secrets.command()
@click.argument("path")
@_versions
@as_operator("secrets:delete", "secrets.undelete")
def undelete(path: str, versions: tuple[int, ...]) -> None:
    """Bring back what was deleted of PATH, where the provider keeps it."""

    async def restore(services: Services) -> None:
        await services.secrets.undelete(path, versions, actor=operator())

    work(restore)
    say(f"{_named(path, versions)} back")


@secrets.command()
@click.argument("path")
@_versions
@click.confirmation_option("--yes", prompt="This cannot be undone. Go on?", help="Do not ask.")
@as_operator("secrets:destroy", "secrets.destroy")
def destroy(path: str, versions: tuple[int, ...]) -> None:
    """Remove the secret at PATH, or versions of it, for good."""

    async def remove(services: Services) -> None:
        await services.secrets.destroy(path, versions, actor=operator())

    work(remove)
    say(f"{_named(path, versions)} destroyed")


@secrets.command()
@click.argument("path")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--cas", type=click.IntRange(min=0), help="Only if this version is the current one.")
@output_option
@as_operator("secrets:write", "secrets.rollback")
def rollback(path: str, version: int, *, cas: int | None, output: str) -> None:
    """Write the value that VERSION of PATH has as a new version."""

    async def write(services: Services) -> tuple[int, str]:
        number = await services.secrets.rollback(path, version, cas=cas, actor=operator())
        return number, services.secrets.provider

    number, provider = work(write)
    show_one({"path": path, "version": number, "provider": provider}, output)


@secrets.command()
@click.argument("path")
@output_option
@as_operator("secrets:read")
def versions(path: str, output: str) -> None:
    """List the versions of the secret at PATH, where the provider keeps them."""

    async def read(services: Services) -> tuple[SecretVersion, ...]:
        return await services.secrets.versions(path)

    rows = [
        {
            "version": one.version,
            "state": one.state.value,
            "current": one.current,
            "created_at": one.created_at,
            "created_by": one.created_by,
            "deleted_at": one.deleted_at,
        }
        for one in work(read)
    ]
    show_rows(rows, ["version", "state", "current", "created_at", "created_by", "deleted_at"], output)


@secrets.command()
@output_option
@at_machine()
def providers(output: str) -> None:
    """List the secrets providers that plugins offer, and what each can do."""
    from tradesense.core.secrets.ports import SecretStore  # noqa: PLC0415  # heavy: `--help` need not pay for it
    from tradesense.settings.sections import missing  # noqa: PLC0415  # the same

    found = loaded()
    rows = [
        {
            "name": offer.adapter.name,
            "chosen": offer.adapter.name == found.settings.secrets.provider,
            "capabilities": sorted(offer.adapter.capabilities),
            "missing": [requirement.distribution for requirement in missing(offer.adapter)],
            "stability": offer.adapter.stability,
            "distribution": f"{offer.distribution} {offer.version}",
            "summary": offer.adapter.summary,
        }
        for offer in found.plugins.registry.offers(SecretStore)
    ]
    show_rows(rows, ["name", "chosen", "capabilities", "missing", "stability", "distribution"], output)


@secrets.command()
@click.argument("path")
@output_option
@as_operator("secrets:rotate", "secrets.rotate")
def rotate(path: str, output: str) -> None:
    """Rotate the secret at PATH now, as its policy in the settings says."""

    async def change(services: Services) -> tuple[int, str]:
        return await services.rotation.rotate(path, actor=operator()), services.secrets.provider

    version, provider = work(change)
    show_one({"path": path, "version": version, "provider": provider}, output)


@secrets.command()
@output_option
@as_operator("secrets:read")
def rotations(output: str) -> None:
    """List the secrets that have a policy, and when each is due; exit with 1 where one cannot be read."""

    async def read(services: Services) -> tuple[RotationState, ...]:
        return await services.rotation.states()

    columns = ["path", "due_at", "pending", "overdue", "unknown"]
    states = work(read)
    show_rows([{column: getattr(state, column) for column in columns} for state in states], columns, output)
    if any(state.unknown for state in states):
        raise SystemExit(1)


def _named(path: str, versions: tuple[int, ...]) -> str:
    if not versions:
        return f"{path} is"
    return f"version {', '.join(map(str, versions))} of {path} {'is' if len(versions) == 1 else 'are'}"


def _piped(*, exact: bool) -> Secret:
    data = sys.stdin.buffer.read()
    return Secret(data if exact else data.removesuffix(b"\n").removesuffix(b"\r"))


def _asked() -> Secret:
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the value on; use --stdin")
    return Secret(click.prompt("Value", hide_input=True, confirmation_prompt=True))


def _encoded(value: Secret) -> dict[str, str]:
    try:
        return {"value": value.reveal()}
    except UnicodeDecodeError:
        return {"value": base64.b64encode(value.reveal_bytes()).decode(), "encoding": "base64"}
