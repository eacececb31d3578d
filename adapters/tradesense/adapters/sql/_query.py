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
        self._names = tuple(compiled.positiontup or ())
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self._binds = tuple(
            compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in self._names
        )
        results: list[Process] = [
            # both drivers give doubles as they are, and SQLAlchemy asks for a code of the type that only a cursor has
            None
            if isinstance(column.type, Double)
            else column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in statement.selected_columns
        ]
        self._results = tuple(results) if any(results) else None

    def values(self, parameters: dict[str, Any]) -> list[Any]:
        """The parameters by position."""
        given = self._fixed | parameters if self._fixed else parameters
        return [
            given[name] if process is None else process(given[name])
            for name, process in zip(self._names, self._binds, strict=True)
        ]

    def rows(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The rows with the values that the columns' types promise."""
        if self._results is None or not rows:
            return rows
        return [
            [value if process is None else process(value) for process, value in zip(self._results, row, strict=True)]
            for row in rows
        ]
