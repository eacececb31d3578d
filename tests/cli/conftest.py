"""Commands run in this process by click's own runner, in a folder of their own, on a migrated SQLite database."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner, Result

from servers import FOLDER_VARIABLE
from tradesense.entrypoints.cli.app import tradesense as command
from tradesense.settings.environment import COMMON


class Cli(Protocol):
    def __call__(self, *words: str, stdin: str | bytes = "", env: Mapping[str, str] | None = None) -> Result: ...


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, without any setting around it."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in os.environ:
        if (name.startswith("TRADESENSE_") and name != FOLDER_VARIABLE) or name in {*COMMON, "ENVIRONMENT"}:
            monkeypatch.delenv(name)
    return folder


@pytest.fixture
def bare(place: Path) -> Cli:
    """Run a command where nothing was set up."""
    del place

    def run(*words: str, stdin: str | bytes = "", env: Mapping[str, str] | None = None) -> Result:
        return CliRunner().invoke(command, words, input=stdin, env=dict(env or {}), prog_name="tradesense")

    return run


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a migrated database, to copy from."""
    folder = tmp_path_factory.mktemp("migrated") / "var"
    done = CliRunner().invoke(command, ["db", "upgrade"], env={"TRADESENSE_STATE_DIR": str(folder)})
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def cli(bare: Cli, migrated: Path, place: Path) -> Cli:
    """Run a command where the database is migrated and empty."""
    shutil.copytree(migrated, place / "var")
    return bare


@pytest.fixture
def read(cli: Cli) -> Callable[..., Any]:
    """Run a command that must succeed, and return what it prints with `-o json`."""

    def run(*words: str, stdin: str | bytes = "") -> Any:
        done = cli(*words, "-o", "json", stdin=stdin)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return run
