"""`tradesense plugins new ROOM NAME` writes all of a distribution or nothing."""

from __future__ import annotations

import ast
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tradesense.core.errors import InvalidInput
from tradesense.plugins.manager import GROUP
from tradesense.plugins.scaffold import ROOMS, write


@pytest.mark.parametrize("room", ROOMS)
def test_it_writes_a_distribution(room: str, tmp_path: Path) -> None:
    written = write(room, "big-co2", tmp_path)
    folder = tmp_path / "tradesense-big-co2"
    assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix() for path in written}
    package = "src/tradesense_big_co2"
    assert names == {
        *("pyproject.toml", "README.md", "tests/test_contract.py"),
        *(f"{package}/__init__.py", f"{package}/{room}.py", f"{package}/py.typed"),
    }
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "tradesense-big-co2"
    assert project["entry-points"][GROUP] == {"big-co2": "tradesense_big_co2"}
    for path in written:
        assert "$" not in path.read_text(), path
        if path.suffix == ".py":
            ast.parse(path.read_text())


@pytest.mark.parametrize("room", ["secret", "", "identity", "../secrets"])
def test_a_room_without_a_template_is_answered_with_those_that_have_one(room: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no template") as caught:
        write(room, "acme", tmp_path)
    assert caught.value.mend == "use one of cache, secrets"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    ["", "Acme", "9lives", "a_b", "a--b", "-a", "a-", "a/b", "..", "a b", "é", "a\n", "$name", "a" * 41],
)
def test_a_name_that_cannot_be_a_distributions_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot name a plugin"):
        write("secrets", name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_name_of_an_installed_plugin_is_refused(tmp_path: Path) -> None:
    installed = min(entry_points(group=GROUP).names)
    with pytest.raises(InvalidInput, match="installed already"):
        write("secrets", installed, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write("secrets", "acme", tmp_path)
    mine = tmp_path / "tradesense-acme" / "README.md"
    mine.write_text("mine")
    with pytest.raises(InvalidInput, match="exists already"):
        write("secrets", "acme", tmp_path)
    assert mine.read_text() == "mine"
