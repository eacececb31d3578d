"""The schema of the database that settings name. Alembic is imported here alone, and only when asked for."""

from __future__ import annotations

import importlib
from typing import Any

from tradesense.core.sensitive import Secret
from tradesense.plugins.manager import load
from tradesense.settings.references import places
from tradesense.settings.schema import Settings

MIGRATIONS, PARTS = "tradesense.adapters.sql.migrations", "tradesense.entrypoints.parts"
URL = "database.url"
STORED = ("identity", "secrets", "flags", "config", "audit")


def needed(settings: Settings) -> bool:
    """Whether any room keeps something in the database."""
    return any(getattr(settings, room).provider == "sql" for room in STORED) or settings.flags.exposures == "sql"


async def upgrade_database(settings: Settings) -> list[str]:
    """Bring the schema to this release's; returns the revisions that were applied, oldest first.

    :raises ConfigurationError: the URL cannot be used, or the schema is a newer release's.
    :raises DatabaseUnavailable: the database did not answer.
    :raises SecretStoreUnavailable: a secret says the URL, and its provider did not answer.
    """
    applied: list[str] = await importlib.import_module(MIGRATIONS).upgrade(**await _place(settings))
    return applied


async def current_database(settings: Settings) -> tuple[str | None, str]:
    """The schema's revision, ``None`` where there is none yet, and the one that this release needs.

    :raises ConfigurationError: the URL cannot be used.
    :raises DatabaseUnavailable: the database did not answer.
    """
    migrations = importlib.import_module(MIGRATIONS)
    return await migrations.current(**await _place(settings)), migrations.head()


async def _place(settings: Settings) -> dict[str, Any]:
    """Where the database is, also where a secret says it, and how long to wait for another writer if a setting does."""
    if URL in places(settings):
        plugins = load(allow=settings.plugins.allow, optional=settings.plugins.optional)
        settings = await importlib.import_module(PARTS).resolved(settings, plugins)
    section = settings.adapters.get("database", {})
    value = section.get("url", "")
    url = value if isinstance(value, Secret) else Secret(str(value))
    return {"url": url, **({"busy_timeout": section["busy_timeout"]} if "busy_timeout" in section else {})}
