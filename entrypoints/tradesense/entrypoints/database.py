"""The schema of the database that settings name. Alembic is imported here alone, and only when asked for."""

from __future__ import annotations

import importlib

from tradesense.core.sensitive import Secret
from tradesense.settings.schema import Settings

MIGRATIONS = "tradesense.adapters.sql.migrations"
STORED = ("identity", "secrets", "flags", "config", "audit")


def needed(settings: Settings) -> bool:
    """Whether any room keeps something in the database."""
    return any(getattr(settings, room).provider == "sql" for room in STORED) or settings.flags.exposures == "sql"


async def upgrade_database(settings: Settings) -> list[str]:
    """Bring the schema to this release's; returns the revisions that were applied, oldest first.

    :raises ConfigurationError: the URL cannot be used, or the schema is a newer release's.
    :raises DatabaseUnavailable: the database did not answer.
    """
    applied: list[str] = await importlib.import_module(MIGRATIONS).upgrade(_url(settings))
    return applied


async def current_database(settings: Settings) -> tuple[str | None, str]:
    """The schema's revision, ``None`` where there is none yet, and the one that this release needs.

    :raises ConfigurationError: the URL cannot be used.
    :raises DatabaseUnavailable: the database did not answer.
    """
    migrations = importlib.import_module(MIGRATIONS)
    return await migrations.current(_url(settings)), migrations.head()


def _url(settings: Settings) -> Secret:
    value = settings.adapters.get("database", {}).get("url", "")
    return value if isinstance(value, Secret) else Secret(str(value))
