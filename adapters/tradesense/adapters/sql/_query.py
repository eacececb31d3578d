"""Selects that are compiled once and then run on the driver itself.

Most of the cost of a small read through SQLAlchemy Core is spent around the driver. The statement is still a construct;
what is saved is building, for every read, the objects that this read needs none of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Dialect, Double, Select

Row = Sequence[Any]
Process = Callable[[Any], Any] | None


class Query:
    """A select with named parameters, declared once as a module constant."""

    def __init__(self, statement: Select[*tuple[Any, ...]], *, lagging: bool = False) -> None:
        self.statement = statement
        self.lagging = lagging
        """Whether the answer may be that of a replica. Nothing that decides who may do what is such a read."""

    def compile(self, dialect: Dialect) -> Compiled:
        """The statement for one dialect, which has been connected once."""
        return Compiled(self.statement, dialect)


class Compiled:
    """The text of a query, the order of its parameters, and how values are turned into the driver's and back."""

    def __init__(self, statement: Select[*tuple[Any, ...]], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        names = compiled.positiontup or ()
        processes: list[Process] = [
            compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names
        ]
        fixed = compiled.params
        self._given = tuple(
            (at, name, process)
            for at, (name, process) in enumerate(zip(names, processes, strict=True))
            if fixed[name] is None
        )
        """Those that a caller gives: where, by which name, and how they are turned into the driver's."""
        self._values = [
            None if fixed[name] is None else (fixed[name] if process is None else process(fixed[name]))
            for name, process in zip(names, processes, strict=True)
        ]
        """All of them, those of the statement itself in their places."""
        results: list[Process] = [
            # both drivers give doubles as they are, and SQLAlchemy asks for a code of the type that only a cursor has
            None
            if isinstance(column.type, Double)
            else column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in statement.selected_columns
        ]
        self._results = [(number, process) for number, process in enumerate(results) if process is not None]

    def values(self, parameters: dict[str, Any]) -> list[Any]:
        """The parameters by position."""
        values = self._values.copy()
        for at, name, process in self._given:
            value = parameters[name]
            values[at] = value if process is None else process(value)
        return values

    def rows(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The rows with the values that the columns' types promise."""
        if not self._results:
            return rows
        return [self._row(row) for row in rows]

    def _row(self, row: Row) -> Row:
        values = list(row)
        for number, process in self._results:
            values[number] = process(values[number])
        return values
