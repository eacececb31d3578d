"""Column types that mean the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator

CodePoints = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that sorts by code point, so that pages and prefixes mean the same whatever the database's locale."""

AutoId = BigInteger().with_variant(Integer(), "sqlite")
"""A key that counts by itself; SQLite counts only what it calls INTEGER."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, to the microsecond: ``timestamptz`` on PostgreSQL, naive UTC on SQLite, UTC in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> datetime | None:
        """UTC, without its zone where the database cannot keep one.

        :raises ValueError: ``value`` is naive, so that nobody knows which instant it is.
        """
        if value is None:
            return None
        instant: datetime = value
        if instant.tzinfo is None:
            raise ValueError("an instant without a time zone cannot be stored")
        utc = instant.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """What makes instants of the driver's values; of the texts of SQLite in one step, as lists hold thousands."""
        return _instant if dialect.name == "sqlite" else super().result_processor(dialect, coltype)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # the base's signature
        """The instant as it was."""
        if value is None:
            return None
        instant: datetime = value
        if instant.tzinfo is UTC:
            return instant
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")
