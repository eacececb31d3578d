"""`tradesense segments`."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import click

from tradesense.core.acting import as_operator
from tradesense.core.flags.models import Segment
from tradesense.entrypoints.cli.definitions import read_definition, show_history
from tradesense.entrypoints.cli.output import output_option, show_json, show_one, show_rows, tell
from tradesense.entrypoints.cli.session import operator, pages, work

if TYPE_CHECKING:
    from tradesense.core.flags.models import StoredSegment
    from tradesense.entrypoints.services import Services


@click.group()
def segments() -> None:
    """Read and write segments, which rules of flags speak of."""


@segments.command("list")
@output_option
@as_operator("flags:read")
def list_(output: str) -> None:
    """List all segments."""

    async def read(services: Services) -> list[StoredSegment]:
        return [stored async for stored in pages(services.flags.segments.list)]

    rows = [
        {
            "key": stored.segment.key,
            "included": len(stored.segment.included),
            "excluded": len(stored.segment.excluded),
            "groups": len(stored.segment.groups),
            "revision": stored.revision,
            "updated_at": stored.updated_at,
        }
        for stored in work(read)
    ]
    show_rows(rows, ["key", "included", "excluded", "groups", "revision"], output)


@segments.command()
@click.argument("key")
@output_option
@as_operator("flags:read")
def get(key: str, output: str) -> None:
    """Print the segment KEY as JSON, fit for `segments set`.

    With -o json, its revision stands around it.
    """

    async def read(services: Services) -> StoredSegment:
        return await services.flags.segments.get(key)

    stored = work(read)
    show_json(stored if output == "json" else stored.segment)


@segments.command("set")
@click.argument("key")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--expected", type=click.IntRange(min=0), help="Write only if this revision is current; 0: only if none is."
)
@output_option
@as_operator("flags:write", "segments.put")
def set_(key: str, file: BinaryIO, expected: int | None, output: str) -> None:
    """Write the segment KEY from the JSON definition in FILE; - reads standard input."""
    segment = read_definition(Segment, key, file.read())

    async def write(services: Services) -> StoredSegment:
        return await services.flags.segments.put(segment, actor=operator(), expected=expected)

    stored = work(write, keeps="flags.provider")
    show_one({"key": key, "revision": stored.revision}, output)


@segments.command()
@click.argument("key")
@click.option("--expected", type=click.IntRange(min=1), help="Remove only if this revision is current.")
@output_option
@as_operator("flags:write", "segments.delete")
def delete(key: str, expected: int | None, output: str) -> None:
    """Remove the segment KEY, which no flag and no other segment asks for. Its history stays."""

    async def remove(services: Services) -> None:
        await services.flags.segments.delete(key, actor=operator(), expected=expected)

    work(remove, keeps="flags.provider")
    tell(f"removed {key}", {"key": key, "removed": True}, output)


@segments.command()
@click.argument("key")
@output_option
@as_operator("flags:read")
def history(key: str, output: str) -> None:
    """List the revisions of the segment KEY, oldest first: who, when, and the digest of what was written."""

    async def read(services: Services) -> tuple[StoredSegment, ...]:
        return await services.flags.segments.history(key)

    show_history(work(read), output)


@segments.command()
@click.argument("key")
@click.argument("revision", type=click.IntRange(min=1))
@click.option("--expected", type=click.IntRange(min=0), help="Write only if this revision is current.")
@output_option
@as_operator("flags:write", "segments.rollback")
def rollback(key: str, revision: int, expected: int | None, output: str) -> None:
    """Write the definition that the segment KEY had at REVISION as a new revision."""

    async def write(services: Services) -> StoredSegment:
        return await services.flags.segments.rollback(key, revision, actor=operator(), expected=expected)

    stored = work(write, keeps="flags.provider")
    show_one({"key": key, "revision": stored.revision}, output)
