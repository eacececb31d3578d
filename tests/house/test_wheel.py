"""What is published holds what the source holds, and a bare install brings two distributions and works."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import pytest

import distributions
from distributions import CleanEnvironment

ROOT = Path(__file__).parents[2]
FLOORS = ("core", "adapters", "plugins", "entrypoints", "settings")


@pytest.fixture(scope="module")
def content() -> set[str]:
    with zipfile.ZipFile(distributions.wheel()) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    """An environment with our wheel and what it brings by itself."""
    environment = distributions.clean_environment(tmp_path_factory.mktemp("bare") / "venv")
    environment.install(distributions.wheel())
    return environment


def test_the_wheel_has_every_file_of_every_floor(content: set[str]) -> None:
    source = {
        path.relative_to(ROOT / floor).as_posix()
        for floor in FLOORS
        for path in (ROOT / floor).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {f"tradesense/{floor}/py.typed" for floor in FLOORS} <= source
    assert not (source - content), f"not in the wheel: {', '.join(sorted(source - content))}"


@pytest.mark.parametrize(
    "folder",
    ["tradesense/adapters/sql/migrations/", "tradesense/plugins/scaffold/templates/", "tradesense/core/testing/"],
)
def test_the_wheel_has_what_is_easily_forgotten(content: set[str], folder: str) -> None:
    assert [name for name in content if name.startswith(folder)]


def test_the_settings_files_are_in_the_wheel(content: set[str]) -> None:
    names = ("default", "development", "testing", "staging", "production")
    assert {f"tradesense/settings/{name}.toml" for name in names} <= content


def test_the_wheel_puts_nothing_else_into_site_packages(content: set[str]) -> None:
    tops = {name.partition("/")[0] for name in content}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tradesense"}
    assert "tradesense/__init__.py" not in content
    assert {name.split("/")[1] for name in content if name.startswith("tradesense/")} == set(FLOORS)


def test_the_source_distribution_has_the_tests_and_the_lock() -> None:
    (source,) = distributions.wheel().parent.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "requirements.lock", "Makefile", "LICENSE", "tests/conftest.py"} <= names
    assert not [name for name in names if name.startswith((".venv/", "var/"))]


def test_a_bare_install_brings_msgspec_and_pluggy_alone(bare: CleanEnvironment) -> None:
    assert bare.installed() == {"tradesense", "msgspec", "pluggy"}


def test_the_core_imports_in_a_bare_install(bare: CleanEnvironment) -> None:
    modules = sorted(
        ".".join(path.relative_to(ROOT / "core").with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "core/tradesense/core").rglob("*.py")
        if "testing" not in path.parts
    )
    bare.run("python", "-W", "error", "-c", "".join(f"import {module}\n" for module in modules))


def test_every_plugin_of_ours_loads_in_a_bare_install(bare: CleanEnvironment) -> None:
    """A plugin's package describes its adapters without importing what they are made with."""
    script = (
        "import json\n"
        "from tradesense.plugins.manager import load\n"
        "print(json.dumps([[found.name, found.state] for found in load().found]))\n"
    )
    found = json.loads(bare.run("python", "-W", "error", "-c", script))
    assert len(found) > 10
    assert {state for _, state in found} == {"loaded"}


def test_an_adapter_whose_library_is_absent_says_how_to_bring_it(bare: CleanEnvironment) -> None:
    script = (
        "from tradesense.core.cache import CacheStore\n"
        "from tradesense.core.errors import MissingDependency\n"
        "from tradesense.plugins.manager import load\n"
        "from tradesense.plugins.registry import build\n"
        "offer = load().registry.choose(CacheStore, 'redis', key='cache.provider')\n"
        "try:\n"
        "    build(offer, None, None)\n"
        "except MissingDependency as error:\n"
        "    print(error.line())\n"
    )
    assert bare.run("python", "-c", script).strip() == "redis is not installed; pip install 'tradesense[redis]'"
