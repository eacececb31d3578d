"""Inserts that say what happens when the row is there already; each dialect has its own construct for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def insert(dialect: str, table: Table) -> postgresql.Insert:
    """An insert with ``on_conflict_do_nothing`` and ``on_conflict_do_update``, which both dialects name alike."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415  # heavy, and no server on SQLite needs it

        return postgresql.insert(table)
    return cast("postgresql.Insert", sqlite.insert(table))
