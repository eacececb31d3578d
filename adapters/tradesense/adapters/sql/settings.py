"""The settings of the database, which all SQL adapters share."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret
from tradesense.core.urls import check_url

Seconds = Annotated[float, Meta(gt=0, le=3600)]

SQLITE = frozenset({"sqlite", "sqlite+aiosqlite"})
POSTGRESQL = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
FORM = "sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


class SqlSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[database]``: where it is, and how long to wait for it."""

    url: Secret = Secret("sqlite:///var/tradesense.db")
    """``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``; ``sqlite://`` ends with the process."""
    pool_size: Annotated[int, Meta(ge=1, le=1000)] = 10
    """Connections that are kept open."""
    max_overflow: Annotated[int, Meta(ge=0, le=1000)] = 5
    """Connections beyond those that a burst may open."""
    pool_timeout: Seconds = 3.0
    """Seconds to wait for a free connection, and for a new one to be made."""
    statement_timeout: Seconds = 10.0
    """Seconds that one statement may run on PostgreSQL."""
    busy_timeout: Seconds = 5.0
    """Seconds to wait for another writer on SQLite."""
    replica_url: Secret = Secret("")
    """A PostgreSQL that follows ``url``; lists and histories are read from it while it answers. Empty for none."""
    replica_after: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    """Seconds after a write in which its request or job reads from the database itself, so as to see what it wrote."""

    def __post_init__(self) -> None:
        """Refuse what is no address of a database."""
        check_url(self.url, key="database.url", schemes=SQLITE | POSTGRESQL, form=FORM)
        if self.replica_url:
            check_url(self.replica_url, key="database.replica_url", schemes=SQLITE | POSTGRESQL, form=FORM)
