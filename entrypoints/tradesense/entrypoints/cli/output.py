"""What commands print: tables for people, JSON for programs. Text from elsewhere never controls the terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

Row = Mapping[str, Any]


def output_option(function: F) -> F:
    """Give a command the option ``-o table|json``, which it gets as the keyword ``output``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="For people, or for programs.",
    )(function)


def show_rows(rows: Sequence[Row], columns: Sequence[str], output: str) -> None:
    """Print a list: a table of ``columns``, or all that the rows hold as a JSON array."""
    if output == "json":
        show_json(list(rows))
        return
    table = [[_cell(row.get(column)) for column in columns] for row in rows]
    if sys.stdout.isatty():
        _rich(table, columns)
        return
    widths = [max(map(len, cells)) for cells in zip(columns, *table, strict=True)]
    for cells in ([name.upper() for name in columns], *table):
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())


def show_one(fields: Row, output: str) -> None:
    """Print one object: a line for each field, or a JSON object."""
    if output == "json":
        show_json(fields)
        return
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        click.echo(f"{name:<{width}}  {_cell(value)}".rstrip())


def tell(sentence: str, fields: Row, output: str) -> None:
    """Say what was done: a sentence for people, ``fields`` as a JSON object for programs."""
    if output == "json":
        show_json(fields)
    else:
        say(sentence)


def show_json(value: Any) -> None:
    """Print a value as indented JSON."""
    import msgspec  # noqa: PLC0415  # `--help` need not pay for it

    click.echo(msgspec.json.format(msgspec.json.encode(value)))


def say(text: str) -> None:
    """Print a line about what was done, beside the output that a program may read."""
    click.echo(safe(text), err=True)


def flush() -> None:
    """Write what was printed, so that a reader who has gone is noticed here and not when the interpreter ends."""
    sys.stdout.flush()


def is_lost(error: BaseException) -> bool:
    """Whether printing is what failed. What else was not written, to a file or a socket, is another error."""
    place = error.__traceback__ if isinstance(error, OSError) else None
    while place is not None:
        if place.tb_frame.f_code in {click.echo.__code__, flush.__code__}:
            return True
        place = place.tb_next
    return False


def forget() -> None:
    """Nobody takes what is printed; what is left in buffers would fail again at the end of the interpreter."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def safe(text: str) -> str:
    """``text`` with everything that could control a terminal spelled out."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _spelled(c) for c in text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, list | tuple) and not value):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | frozenset):
        return safe(", ".join(sorted(map(str, value)) if isinstance(value, frozenset) else map(str, value)))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # a cell holds anything
    if isinstance(value, dict):
        import msgspec  # noqa: PLC0415  # as above

        return safe(msgspec.json.encode(value).decode())
    return safe(str(value))


def _rich(table: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    from rich.console import Console  # noqa: PLC0415  # only where a table is shown on a terminal
    from rich.table import Table  # noqa: PLC0415  # the same
    from rich.text import Text  # noqa: PLC0415  # the same

    shown = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for cells in table:
        shown.add_row(*(Text(cell) for cell in cells))
    Console(width=shutil.get_terminal_size().columns).print(shown)
