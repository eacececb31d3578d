"""Which revision of the tables this release speaks, known without importing the migration tool."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, String, Table, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tradesense.adapters.sql._errors import UNDEFINED_TABLE, UPGRADE
from tradesense.adapters.sql._tables import flag_generation, metadata
from tradesense.adapters.sql._url import ORIGIN
from tradesense.core.errors import ConfigurationError

REVISIONS = (
    "0001_first_tables",
    "0002_fences",
    "0003_outbox",
    "0004_action_tokens",
    "0005_secrets",
    "0006_grants",
    "0007_flag_revisions",
    "0008_experiments",
    "0009_limits",
    "0010_change_requests",
)
"""Every revision, oldest first, as the files in ``migrations/versions`` name them."""

HEAD = REVISIONS[-1]

version_table = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own table, as it makes it."""

_CURRENT = select(version_table.c.version_num)


async def current(connection: AsyncConnection) -> str | None:
    """The revision of the tables; ``None`` when there are none. The connection's transaction may be broken then."""
    try:
        return (await connection.execute(_CURRENT)).scalar_one_or_none()
    except DBAPIError as error:
        if _no_table(error):
            return None
        raise


async def check(connection: AsyncConnection, place: str) -> None:
    """Go on only where the tables are those of this release.

    :raises ConfigurationError: they are older, newer or absent.
    """
    found = await current(connection)
    if found == HEAD:
        return
    if found is None:
        raise ConfigurationError(f"{place} has no tables", origin=ORIGIN, mend=UPGRADE)
    if found in REVISIONS:
        raise ConfigurationError(
            f"{place} has tables of revision {found}, {HEAD} is needed", origin=ORIGIN, mend=UPGRADE
        )
    raise ConfigurationError(
        f"{place} has tables of revision {found}, which this release does not know",
        origin=ORIGIN,
        mend="run the release that made them, or a later one",
    )


async def make(connection: AsyncConnection) -> None:
    """Make all tables at once in an empty database that is thrown away afterwards."""
    await connection.run_sync(metadata.create_all)
    await connection.run_sync(version_table.metadata.create_all)
    await connection.execute(version_table.insert().values(version_num=HEAD))
    await connection.execute(flag_generation.insert().values(id=1, value=0))


def _no_table(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state == UNDEFINED_TABLE if state else "no such table" in str(error.orig)
