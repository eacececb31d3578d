"""`tradesense segments`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tradesense.core.acting import as_operator
from tradesense.core.flags.kinds import SEGMENT
from tradesense.entrypoints.cli.definitions import add_commands
from tradesense.entrypoints.cli.output import output_option, show_rows
from tradesense.entrypoints.cli.session import pages, work

if TYPE_CHECKING:
    from tradesense.core.flags.models import StoredSegment
    from tradesense.entrypoints.services import Services


@click.group()
def segments() -> None:
    """Read and write segments, which rules of flags speak of."""


add_commands(segments, SEGMENT, lambda services: services.flags.segments)


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
