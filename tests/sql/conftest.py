"""Both databases, for tests of what SQL adapters do beyond their contracts."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import servers
import sqldatabases


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def sqlite_url(tmp_path):
    """A file with tables."""
    return sqldatabases.sqlite_url(tmp_path)


@pytest.fixture
def postgresql_url(postgres):
    """A PostgreSQL database with tables."""
    with sqldatabases.postgresql_database(postgres) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    """A database with tables."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def locked():
    """`with locked(url):` holds the write lock of a file, as another program would."""

    @contextmanager
    def hold(url):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    return hold


@pytest.fixture
def absent_url():
    """Where no PostgreSQL listens."""
    return f"postgresql://someone:hunter2hunter2@127.0.0.1:{servers.free_port()}/absent"


@pytest.fixture
def script(tmp_path):
    """Where a test puts the program of another process."""

    def write(text) -> Path:
        path = tmp_path / "program.py"
        path.write_text(text)
        return path

    return write
