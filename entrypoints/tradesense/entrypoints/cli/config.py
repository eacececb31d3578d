"""`tradesense config`: settings that are fixed at start (check, show, explain), and those that change while it runs."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tradesense.core.acting import as_operator, at_machine
from tradesense.core.errors import InvalidSetting, SettingNotFound, SettingsInvalid
from tradesense.entrypoints.cli.failures import CONFIGURATION
from tradesense.entrypoints.cli.output import output_option, safe, show_json, show_one, show_rows
from tradesense.entrypoints.cli.session import loaded, operator, work

if TYPE_CHECKING:
    from tradesense.core.config.models import Setting
    from tradesense.core.errors import Problem
    from tradesense.entrypoints.services import Services
    from tradesense.settings.describe import Described


@click.group()
def config() -> None:
    """Settings: those fixed at start, and those that change while it runs."""


@config.command()
@output_option
@click.pass_context
@at_machine()
def check(ctx: click.Context, output: str) -> None:
    """Tell everything that is wrong or unwise in the settings; exit 78 if one is an error."""
    try:
        problems: tuple[Problem, ...] = loaded().problems
    except SettingsInvalid as error:
        problems = error.problems
    wrong = sum(problem.level == "error" for problem in problems)
    if output == "json":
        show_json({"ok": not wrong, "problems": problems})
    else:
        for problem in problems:
            click.echo(safe(problem.line()), err=problem.level == "error")
        click.echo(f"{wrong} wrong" if wrong else "the settings can be started with")
    if wrong:
        ctx.exit(CONFIGURATION)


@config.command()
@click.argument("prefix", default="")
@output_option
@at_machine()
def show(prefix: str, output: str) -> None:
    """Print the settings fixed at start whose keys begin with PREFIX, with their origins. Secrets are masked."""
    rows = [
        {"key": one.key, "value": one.value, "origin": one.origin} for one in _described() if one.key.startswith(prefix)
    ]
    show_rows(rows, ["key", "value", "origin"], output)


@config.command()
@click.argument("key")
@output_option
@at_machine()
def explain(key: str, output: str) -> None:
    """Tell all about one setting fixed at start: where its value is from, what may stand there, what it is for."""
    described = {one.key: one for one in _described()}
    if key not in described:
        near = get_close_matches(key, described, n=3, cutoff=0.5)
        mend = f"did you mean {' or '.join(near)}?" if near else "see `tradesense config show`"
        raise SettingNotFound(f"no setting that is fixed at start is called {key!r}", mend=mend)
    show_one(msgspec.structs.asdict(described[key]), output)


@config.command("set")
@click.argument("key")
@click.argument("value")
@click.option(
    "--public/--private", default=None, help="Whether everybody may read it.  [default: as before, or private]"
)
@click.option(
    "--expected", type=click.IntRange(min=0), help="Write only if this revision is current; 0: only if none is."
)
@output_option
@as_operator("config:write", "config.put")
def set_(key: str, value: str, *, public: bool | None, expected: int | None, output: str) -> None:
    """Change the setting KEY while the platform runs. VALUE is JSON, or else a text.

    It is on record and can be rolled back. It is no place for secrets.
    """
    _not_fixed(key)

    async def write(services: Services) -> Setting:
        shown = await _was_public(services, key) if public is None else public
        return await services.config.put(key, _value(value), actor=operator(), public=shown, expected=expected)

    show_one(_fields(work(write, keeps="config.provider")), output)


@config.command()
@click.argument("key")
@output_option
@as_operator("config:read")
def history(key: str, output: str) -> None:
    """List the revisions of the setting KEY, oldest first."""

    async def read(services: Services) -> tuple[Setting, ...]:
        return await services.config.history(key)

    rows = [{**_fields(setting), "deleted": setting.deleted} for setting in work(read)]
    show_rows(rows, ["revision", "value", "public", "deleted", "updated_at", "updated_by"], output)


@config.command()
@click.argument("key")
@click.argument("revision", type=click.IntRange(min=1))
@output_option
@as_operator("config:write", "config.put")
def rollback(key: str, revision: int, output: str) -> None:
    """Write the value that the setting KEY had at REVISION as a new revision."""

    async def write(services: Services) -> Setting:
        return await services.config.rollback(key, revision, actor=operator())

    show_one(_fields(work(write, keeps="config.provider")), output)


def _described() -> list[Described]:
    from tradesense.settings.describe import describe  # noqa: PLC0415  # heavy: `--help` need not pay for it

    return describe(loaded())


def _not_fixed(key: str) -> None:
    for one in _described():
        if one.key == key:
            raise InvalidSetting(
                f"{key} is fixed at start", origin=one.origin, mend=f"set {one.variables[0]}, and start again"
            )


async def _was_public(services: Services, key: str) -> bool:
    try:
        return (await services.config.get(key)).public
    except SettingNotFound:
        return False


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _fields(setting: Setting) -> dict[str, Any]:
    return {
        "key": setting.key,
        "value": setting.value,
        "public": setting.public,
        "revision": setting.revision,
        "updated_at": setting.updated_at,
        "updated_by": setting.updated_by,
    }
