"""The schema of the database that settings name. Alembic is imported here alone, and only when asked for."""

from __future__ import annotations

import importlib
from typing import Any

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
    applied: list[str] = await importlib.import_module(MIGRATIONS).upgrade(**_place(settings))
    return applied


async def current_database(settings: Settings) -> tuple[str | None, str]:
    """The schema's revision, ``None`` where there is none yet, and the one that this release needs.

    :raises ConfigurationError: the URL cannot be used.
    :raises DatabaseUnavailable: the database did not answer.
    """
    migrations = importlib.import_module(MIGRATIONS)
    return await migrations.current(**_place(settings)), migrations.head()


def _place(settings: Settings) -> dict[str, Any]:
    """Where the database is, and how long to wait for another writer if a setting says so."""
    section = settings.adapters.get("database", {})
    value = section.get("url", "")
    url = value if isinstance(value, Secret) else Secret(str(value))
    return {"url": url, **({"busy_timeout": section["busy_timeout"]} if "busy_timeout" in section else {})}
