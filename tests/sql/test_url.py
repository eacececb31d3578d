"""What `database.url` may be."""

from __future__ import annotations

import pytest

from sqldatabases import sql
from tradesense.adapters.sql._postgresql import place_of
from tradesense.adapters.sql._url import parsed
from tradesense.core.config.ports import SettingsStore
from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret


@pytest.mark.parametrize(
    ("url", "scheme", "database"),
    [
        ("sqlite://", "sqlite", None),
        ("sqlite:///:memory:", "sqlite", ":memory:"),
        ("sqlite:///var/tradesense.db", "sqlite", "var/tradesense.db"),
        ("sqlite+aiosqlite:////srv/tradesense.db", "sqlite", "/srv/tradesense.db"),
        ("postgres://u:p@db/app", "postgresql", "app"),
        ("postgresql://u:p@db:6432/app?sslmode=require", "postgresql", "app"),
        ("postgresql+asyncpg://u:p@db/app", "postgresql", "app"),
    ],
)
def test_the_usual_forms_are_taken(url, scheme, database):
    found = parsed(Secret(url))
    assert (found.drivername, found.database) == (scheme, database)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://u:hunter2@db/app",
        "postgresql+psycopg2://u:hunter2@db/app",
        "postgresql://u:hunter2@db",
        "postgresql://u:hunter2@db:port/app",
        "sqlite://var/hunter2.db",
        "sqlite:///x.db?mode=hunter2",
        "://u:hunter2@",
    ],
)
def test_anything_else_is_told_without_showing_it(url):
    with pytest.raises(ConfigurationError) as refused:
        parsed(Secret(url))
    assert "hunter2" not in refused.value.line()
    assert refused.value.origin == "database.url"
    assert refused.value.mend


def test_errors_name_the_server_and_nothing_else():
    assert place_of(parsed(Secret("postgresql://u:hunter2@db/app"))) == "PostgreSQL at db:5432"
    assert place_of(parsed(Secret("postgresql://u:hunter2@[::1]:6432/app"))) == "PostgreSQL at ::1:6432"


async def test_a_database_without_a_name_is_thrown_away_at_the_end():
    for _ in range(2):
        async with sql(SettingsStore, "sqlite://") as store:
            assert await store.history("ui.theme") == ()
            await store.put("ui.theme", "dark")
            assert (await store.get("ui.theme")).value == "dark"
