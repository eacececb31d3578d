"""Secrets that are moved: `tradesense secrets migrate`, and what another system has sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from tradesense.core.acting import as_operator
from tradesense.entrypoints.cli.guards import within_guard
from tradesense.entrypoints.cli.output import output_option, say, show_rows
from tradesense.entrypoints.cli.session import loaded, operator

if TYPE_CHECKING:
    from tradesense.core.secrets.migration import Migrated
    from tradesense.settings.load import Loaded


@click.command()
@click.option("--from", "source", required=True, help="The provider that has the secrets, as in env.")
@click.option("--to", "target", required=True, help="The provider that is to have them, as in vault.")
@click.option("--prefix", default="", help="Only paths that begin with this.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--overwrite", is_flag=True, help="Replace values of the target that are different.")
@output_option
@as_operator("secrets:write", "secrets.get", "secrets.put")
def migrate(*, source: str, target: str, prefix: str, dry_run: bool, overwrite: bool, output: str) -> None:
    """Copy the current values from one provider to another, and see that they arrived.

    What the target has already is left alone, so that a run that was interrupted can be begun again. Ends with 1 when
    the target cannot hold a secret, or has another value, or the source cannot read it. Where a provider goes away,
    what was done till then is listed.
    """
    _move(loaded(), source, target, prefix=prefix, dry_run=dry_run, overwrite=overwrite, output=output)


@click.command("import-fernet")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--to", "target", default="", help="The provider that is to have them; else the one that is in use.")
@click.option("--keys-file", type=click.File("rb"), help="Fernet keys, one a line; - for standard input.")
@click.option("--passphrase-file", type=click.File("rb"), help="What the key was derived from, by PBKDF2; - likewise.")
@click.option("--salt", default=None, help="The salt of the derivation as text, or in base64 after base64:.")
@click.option("--rounds", type=click.IntRange(min=1), help="The rounds of the derivation; else 100000.")
@click.option("--max-age", type=click.FloatRange(min=0), help="Seconds after which a token is too old.")
@click.option("--prefix", default="", help="Only paths that begin with this.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--overwrite", is_flag=True, help="Replace values of the target that are different.")
@output_option
@as_operator("secrets:write", "secrets.get", "secrets.put")
def import_fernet(
    file: str,
    target: str,
    *,
    keys_file: BinaryIO | None,
    passphrase_file: BinaryIO | None,
    salt: str | None,
    rounds: int | None,
    max_age: float | None,
    prefix: str,
    dry_run: bool,
    overwrite: bool,
    output: str,
) -> None:
    """Open the Fernet tokens of the JSON object FILE, and write them to a provider as `migrate` does.

    What is not given here is taken from the section [secrets.fernet].
    """
    given: dict[str, Any] = {"file": file, "salt": salt, "rounds": rounds, "max_age": max_age}
    if keys_file is not None:
        lines = filter(None, map(bytes.strip, keys_file.read().splitlines()))
        given |= {f"keys.line-{number}": _text(line) for number, line in enumerate(lines, 1)}
    if passphrase_file is not None:
        given["passphrase"] = _text(passphrase_file.read().removesuffix(b"\n").removesuffix(b"\r"))
    found = loaded({f"secrets.fernet.{name}": value for name, value in given.items() if value is not None})
    target = target or found.settings.secrets.provider
    _move(found, "fernet", target, prefix=prefix, dry_run=dry_run, overwrite=overwrite, output=output)


def _move(found: Loaded, source: str, target: str, *, prefix: str, dry_run: bool, overwrite: bool, output: str) -> None:
    from tradesense.entrypoints.migration import LEFT, migrate_all  # noqa: PLC0415  # heavy: `--help` need not pay for it

    rows: list[Migrated] = []
    losses: tuple[str, ...] = ()
    try:
        with within_guard():
            losses = migrate_all(
                found,
                source,
                target,
                rows=rows,
                actor=operator(),
                prefix=prefix,
                dry_run=dry_run,
                overwrite=overwrite,
            )
    finally:  # what was done stays done, however the rest ended
        show_rows(
            [{"path": one.path, "step": one.step.value, "reason": one.reason} for one in rows],
            ["path", "step", "reason"],
            output,
        )
    for loss in losses:
        say(f"not carried over: {loss}")
    if any(one.step in LEFT for one in rows):
        raise SystemExit(1)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise click.UsageError("keys and passphrases are text") from error
