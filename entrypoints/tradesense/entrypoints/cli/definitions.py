"""What the commands on flags and on segments have in common: definitions in files, and histories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.models import Flag, Segment, Stored
from tradesense.entrypoints.cli.output import show_rows

D = TypeVar("D", bound=Flag | Segment)


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
