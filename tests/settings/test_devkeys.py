from __future__ import annotations

import stat
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tradesense.settings import devkeys
from tradesense.settings.layers import find


def test_development_keys_are_made_once_and_kept(loads, tmp_path: Path):
    first = loads().settings
    file = tmp_path / "var" / "keys.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert loads().settings.audit.key == first.audit.key
    held = tomllib.loads(file.read_text())
    keys = [find(held, key) for key in devkeys.KEYS]
    assert len(set(keys)) == 4
    assert all(len(key) >= 32 for key in keys)
    assert first.identity.csrf_key.reveal() == find(held, "identity.csrf_key")
    assert first.adapters["identity.jose"]["secret"].reveal() == find(held, "identity.jose.secret")


def test_processes_that_start_at_once_read_the_same_keys(tmp_path: Path):
    starting = Barrier(8)

    def start(_: int) -> str:
        starting.wait(timeout=10)
        return devkeys.kept(tmp_path / "var").read_text()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["keys.toml"]


def test_a_key_that_is_given_wins(loads):
    key = "Zt5RbN8mKx3QvC6yHj1LpWsEd4GuFa7o"
    assert loads(TRADESENSE_AUDIT__KEY=key).settings.audit.key.reveal() == key


def test_tests_have_keys_of_their_process_and_write_nothing(loads, tmp_path: Path):
    first, second = loads(ENVIRONMENT="testing").settings, loads(ENVIRONMENT="testing").settings
    assert first.audit.key == second.audit.key
    assert len(first.audit.key) >= 32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_other_environments_bring_their_own_keys(wrong, tmp_path: Path, environment: str):
    found = wrong(ENVIRONMENT=environment)
    assert {"identity.csrf_key", "identity.jose.secret", "audit.key", "secrets.local.root_key"} <= set(found)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(wrong, tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert "Not a directory" in wrong(TRADESENSE_STATE_DIR="file/below")["state_dir"].message
