"""The commands that flags and segments have in common: to read, write and remove a definition, and to go back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import click
import msgspec

from tradesense.core.acting import as_operator
from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.kinds import Kind
from tradesense.core.flags.models import Flag, Segment, Stored
from tradesense.entrypoints.cli.output import output_option, show_json, show_one, show_rows, tell
from tradesense.entrypoints.cli.session import operator, work

if TYPE_CHECKING:
    from tradesense.core.flags.administration import Administration
    from tradesense.entrypoints.services import Services

TIMES = ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d")

D = TypeVar("D", bound=Flag | Segment)
S = TypeVar("S", bound=Stored)


def add_commands(group: click.Group, kind: Kind[D, S], of: Callable[[Services], Administration[D, S]]) -> None:
    """Give ``group`` the commands `get`, `set`, `delete`, `history`, `rollback` and `propose` of a kind's definitions.

    :param of: the service that keeps them.
    """
    noun, room = kind.name, f"{kind.name}s"

    @group.command(
        help=f"Print the definition of the {noun} KEY as JSON, fit for `{room} set`.\n\n"
        "With -o json, its revision stands around it."
    )
    @click.argument("key")
    @output_option
    @as_operator("flags:read")
    def get(key: str, output: str) -> None:
        stored = work(lambda services: of(services).get(key))
        show_json(stored if output == "json" else kind.of(stored))

    @group.command("set", help=f"Write the {noun} KEY from the JSON definition in FILE; - reads standard input.")
    @click.argument("key")
    @click.argument("file", type=click.File("rb"))
    @click.option(
        "--expected", type=click.IntRange(min=0), help="Write only if this revision is current; 0: only if none is."
    )
    @output_option
    @as_operator("flags:write", f"{room}.put")
    def set_(key: str, file: BinaryIO, expected: int | None, output: str) -> None:
        definition = read_definition(kind.definition, key, file.read())
        stored = work(
            lambda services: of(services).put(definition, actor=operator(), expected=expected), keeps="flags.provider"
        )
        show_one({"key": key, "revision": stored.revision}, output)

    @group.command(help=f"Remove the {noun} KEY, which nothing else refers to. Its history stays.")
    @click.argument("key")
    @click.option("--expected", type=click.IntRange(min=1), help="Remove only if this revision is current.")
    @output_option
    @as_operator("flags:write", f"{room}.delete")
    def delete(key: str, expected: int | None, output: str) -> None:
        work(lambda services: of(services).delete(key, actor=operator(), expected=expected), keeps="flags.provider")
        tell(f"removed {key}", {"key": key, "removed": True}, output)

    @group.command(
        help=f"List the revisions of the {noun} KEY, oldest first: who, when, and the digest of what was written."
    )
    @click.argument("key")
    @output_option
    @as_operator("flags:read")
    def history(key: str, output: str) -> None:
        show_history(work(lambda services: of(services).history(key)), output)

    @group.command(help=f"Write the definition that the {noun} KEY had at REVISION as a new revision.")
    @click.argument("key")
    @click.argument("revision", type=click.IntRange(min=1))
    @click.option("--expected", type=click.IntRange(min=0), help="Write only if this revision is current.")
    @output_option
    @as_operator("flags:write", f"{room}.rollback")
    def rollback(key: str, revision: int, expected: int | None, output: str) -> None:
        stored = work(
            lambda services: of(services).rollback(key, revision, actor=operator(), expected=expected),
            keeps="flags.provider",
        )
        show_one({"key": key, "revision": stored.revision}, output)

    @group.command(
        help=f"Propose to write the {noun} KEY from FILE (- is standard input), or to remove it: for approval "
        "(`flags.review`), for a time, or for both. Approve it over HTTP."
    )
    @click.argument("key")
    @click.argument("file", type=click.File("rb"), required=False)
    @click.option("--remove", is_flag=True, help="Propose to remove it, instead of FILE.")
    @click.option("--expected", type=click.IntRange(min=0), help="Propose only if this revision is current.")
    @click.option("--at", "when", type=click.DateTime(TIMES), help="When it is applied, in UTC if it does not say.")
    @click.option("--reason", default="", help="For who approves it.")
    @output_option
    @as_operator("flags:write", f"{room}.propose")
    def propose(  # click passes what the command takes
        *,
        key: str,
        file: BinaryIO | None,
        remove: bool,
        expected: int | None,
        when: datetime | None,
        reason: str,
        output: str,
    ) -> None:
        if (file is None) is not remove:
            raise click.UsageError("give FILE, or --remove")
        definition = None if file is None else read_definition(kind.definition, key, file.read())
        request = work(
            lambda services: services.flags.review.propose(
                kind.name, key, definition, actor=operator(), expected=expected, reason=reason, not_before=when
            ),
            keeps="flags.provider",
        )
        show_one({"id": request.id, "key": key, "state": request.state, "not_before": request.not_before}, output)


def read_definition(kind: type[D], key: str, text: bytes) -> D:
    """The definition, with KEY filled in where it leaves it out.

    :raises InvalidFlag: it is no definition; the message names the path.
    """
    try:
        data = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidFlag(f"the definition is not JSON: {error}") from error
    if isinstance(data, dict):
        data = {"key": key, **data}  # pyright: ignore[reportUnknownVariableType]  # JSON is Any
    try:
        definition = msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise InvalidFlag(f"the definition does not fit: {error}") from error
    if definition.key != key:
        raise InvalidFlag(f"the definition is of {definition.key!r}, not of {key!r}", mend="give the key that it is of")
    return definition


def show_history(revisions: Sequence[Stored], output: str) -> None:
    """Print revisions, oldest first."""
    if output == "json":
        rows = [msgspec.structs.asdict(stored) for stored in revisions]
    else:
        rows = [
            {
                "revision": stored.revision,
                "updated_at": stored.updated_at,
                "updated_by": stored.updated_by,
                "deleted": stored.deleted,
                "digest": stored.digest[:12],
            }
            for stored in revisions
        ]
    show_rows(rows, ["revision", "updated_at", "updated_by", "deleted", "digest"], output)
