"""`tradesense init` and `tradesense users`."""

from __future__ import annotations

import secrets
import sys
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import click

from tradesense.core.acting import as_operator, at_machine
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.cli import devices
from tradesense.entrypoints.cli.database import upgraded
from tradesense.entrypoints.cli.output import output_option, say, show_one, show_rows
from tradesense.entrypoints.cli.session import loaded, operator, pages, work

if TYPE_CHECKING:
    from tradesense.core.identity.exports import Export
    from tradesense.core.identity.models import User
    from tradesense.core.identity.rules import Decision
    from tradesense.entrypoints.services import Services

RANDOM_BYTES = 18
"""24 characters, 144 bits."""

password_option = click.option(
    "--password-stdin",
    "piped",
    is_flag=True,
    help="Read the password from standard input; else one is made and printed.",
)


@click.command()
@click.option("--email", required=True, help="The administrator's address.")
@password_option
@output_option
@at_machine("identity.create")
def init(email: str, *, piped: bool, output: str) -> None:
    """Migrate the database and make the first administrator.

    A password that is made here is printed once, and nowhere kept.
    """
    from tradesense.core.identity import emails  # noqa: PLC0415  # `--help` need not pay for it

    emails.normalise(email)  # a word that is no address changes nothing
    for revision in upgraded(loaded()):
        say(f"migrated to {revision}")
    password, shown = _password(piped=piped)

    async def make(services: Services) -> User | None:
        if await services.accounts.has_administrator():
            return None
        return await services.accounts.create(email, password, roles=("admin",), actor=operator())

    user = work(make, keeps="identity.provider")
    if user is None:
        say("there is an administrator already; none was made")
        return
    show_one({"id": user.id, "email": user.email, "roles": user.roles, **shown}, output)


@click.group()
def users() -> None:
    """Accounts."""


@users.command()
@click.argument("email")
@click.option("--role", "roles", multiple=True, default=["user"], show_default=True, help="May be given several times.")
@password_option
@output_option
@as_operator("users:write", "identity.create")
def create(email: str, roles: tuple[str, ...], *, piped: bool, output: str) -> None:
    """Make an account.

    A password that is made here is printed once, and nowhere kept.
    """
    password, shown = _password(piped=piped)

    async def make(services: Services) -> User:
        return await services.accounts.create(email, password, roles=roles, actor=operator())

    user = work(make, keeps="identity.provider")
    show_one({"id": user.id, "email": user.email, "roles": user.roles, **shown}, output)


@users.command("list")
@click.option("--role", default="", help="Only accounts with this role.")
@output_option
@as_operator("users:read")
def list_(role: str, output: str) -> None:
    """List accounts."""

    async def read(services: Services) -> list[User]:
        return [user async for user in pages(partial(services.accounts.list, role=role))]

    rows = [
        {
            "id": user.id,
            "email": user.email,
            "roles": user.roles,
            "disabled": user.disabled,
            "created_at": user.created_at,
        }
        for user in work(read)
    ]
    show_rows(rows, ["id", "email", "roles", "disabled", "created_at"], output)


@users.command()
@click.argument("email")
@output_option
@as_operator("users:read")
def show(email: str, output: str) -> None:
    """Print one account."""

    async def read(services: Services) -> User:
        return await services.accounts.named(email)

    user = work(read)
    row = {
        "id": user.id,
        "email": user.email,
        "verified": user.verified,
        "name": user.name,
        "locale": user.locale,
        "roles": user.roles,
        "disabled": user.disabled,
        "created_at": user.created_at,
    }
    show_one(row, output)


@users.command()
@click.argument("email")
@as_operator("users:write", "identity.enable")
def enable(email: str) -> None:
    """Let a disabled account log in again."""

    async def begin(services: Services) -> User:
        user = await services.accounts.named(email)
        return await services.accounts.enable(user.id, actor=operator())

    say(f"{work(begin).email} is enabled")


@users.command("import")
@click.argument("file", type=click.File("rb"))
@as_operator("users:write", "identity.adopt")
def import_(file: BinaryIO) -> None:
    """Take over accounts of another system: a JSON object a line, with email, password_hash and verified.

    A hash is argon2id, bcrypt, or scrypt or PBKDF2 as a PHC string; the first login replaces it. Known addresses are
    passed over, so that it may be run again.
    """
    from tradesense.core.errors import EmailTaken, InvalidInput  # noqa: PLC0415  # `--help` need not pay for it
    from tradesense.entrypoints.cli.importing import lines  # noqa: PLC0415  # the same

    async def take(services: Services) -> tuple[int, int]:
        taken = known = 0
        for number, line in lines(file):
            try:
                await services.accounts.adopt(line.email, line.password_hash, verified=line.verified, actor=operator())
            except EmailTaken:
                known += 1
            except InvalidInput as error:
                error.origin = f"line {number}"
                raise
            else:
                taken += 1
        return taken, known

    taken, known = work(take, keeps="identity.provider")
    say(f"{taken} accounts were taken over, {known} were known")
    say("until each has logged in, identity.policy.login_refusal keeps the time of a refusal from telling who they are")


@users.command()
@click.argument("email")
@as_operator("users:export")
def export(email: str) -> None:
    """Print all that is kept about the owner of an account, as JSON."""

    async def read(services: Services) -> Export:
        return await services.accounts.export((await services.accounts.named(email)).id)

    import msgspec  # noqa: PLC0415  # `--help` need not pay for it

    click.echo(msgspec.json.format(msgspec.json.encode(work(read))).decode())


@users.command()
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_operator("users:write", "identity.remove")
def delete(email: str, *, yes: bool) -> None:
    """Delete an account with all that belongs to it. It cannot be undone."""
    if not yes:
        click.confirm(f"delete {email}?", abort=True, err=True)

    async def end(services: Services) -> User:
        user = await services.accounts.named(email)
        await services.accounts.remove(user.id, actor=operator())
        return user

    say(f"{work(end).email} is deleted")


@users.command()
@click.argument("email")
@as_operator("users:write", "identity.disable")
def disable(email: str) -> None:
    """Disable an account and end its sessions."""

    async def end(services: Services) -> User:
        user = await services.accounts.named(email)
        return await services.accounts.disable(user.id, actor=operator())

    say(f"{work(end).email} is disabled, and its sessions are ended")


@users.command("roles")
@click.argument("email")
@click.option("--set", "wanted", multiple=True, metavar="ROLE", help="A role in place of its own; can be given again.")
@output_option
@as_operator("users:write", "identity.roles")
def roles_(email: str, wanted: tuple[str, ...], output: str) -> None:
    """Print an account's roles, or replace them, which ends its sessions."""

    async def change(services: Services) -> User:
        user = await services.accounts.named(email)
        return await services.roles.assign(user.id, wanted, by=None, actor=operator()) if wanted else user

    user = work(change, keeps="identity.provider" if wanted else "")
    show_one({"id": user.id, "email": user.email, "roles": user.roles}, output)


@users.command()
@click.argument("email")
@click.argument("permission")
@output_option
@as_operator("users:read")
def explain(email: str, permission: str, output: str) -> None:
    """Tell whether an account's roles permit something, and why; exit 1 if not."""

    async def ask(services: Services) -> Decision:
        return await services.roles.explain((await services.accounts.named(email)).id, permission)

    found = work(ask)
    show_one({"allowed": found.granted, "why": found.why, "role": found.role, "rule": found.rule}, output)
    if not found.granted:
        click.get_current_context().exit(1)


users.add_command(devices.sessions)
users.add_command(devices.logout)


def _password(*, piped: bool) -> tuple[Secret, dict[str, str]]:
    """The password, and what of it is to be shown."""
    if piped:
        line = sys.stdin.buffer.readline().removesuffix(b"\n").removesuffix(b"\r")
        try:
            return Secret(line.decode()), {}
        except UnicodeDecodeError as error:
            raise click.UsageError("the password on standard input is not UTF-8") from error
    made = secrets.token_urlsafe(RANDOM_BYTES)
    return Secret(made), {"password": made}
