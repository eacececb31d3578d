"""Somebody else's distribution and a scaffolded one, beside our wheel in an environment of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import distributions
from distributions import CleanEnvironment
from tradesense.plugins.scaffold import ROOMS

THEIRS = Path(__file__).parents[1] / "thirdparty"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    folder = tmp_path_factory.mktemp("thirdparty")
    theirs = distributions.build(THEIRS, folder / "dist")
    environment = distributions.clean_environment(folder / "venv")
    environment.install(f"tradesense[server,testing] @ {distributions.wheel().as_uri()}", theirs)
    return environment


OFFERS = """
import json
from tradesense.core.secrets import SecretStore
from tradesense.plugins.manager import load
print(json.dumps({offer.adapter.name: [offer.plugin, offer.distribution, offer.version]
                  for offer in load().registry.offers(SecretStore)}))
"""


def test_it_is_offered_beside_ours(environment: CleanEnvironment) -> None:
    offers = json.loads(environment.run("python", "-c", OFFERS))
    assert offers["mounted"] == ["mounted", "tradesense-mounted", "2.0.1"]
    assert offers["memory"][1] == "tradesense"


def test_the_command_line_lists_it(environment: CleanEnvironment) -> None:
    listed = environment.run("tradesense", "plugins", "list")
    assert "mounted" in listed
    assert "tradesense-mounted" in listed


READ = """
import asyncio
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

async def main():
    loaded = load()
    async with open_container(loaded.settings, plugins=loaded.plugins) as services:
        print(services.bindings["secrets.SecretStore"])

asyncio.run(main())
"""


def test_it_is_chosen_by_a_setting(environment: CleanEnvironment, tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()
    chosen = {
        "ENVIRONMENT": "testing",
        "TRADESENSE_SECRETS__PROVIDER": "mounted",
        "TRADESENSE_SECRETS__MOUNTED__FOLDER": str(tmp_path / "mounted"),
    }
    said = environment.run("python", "-c", READ, cwd=tmp_path, env=chosen)
    assert said.splitlines()[-1] == "mounted (tradesense-mounted 2.0.1)"


def test_its_suite_passes(environment: CleanEnvironment, tmp_path: Path) -> None:
    shutil.copytree(THEIRS / "tests", tmp_path / "tests")
    shutil.copy(THEIRS / "pyproject.toml", tmp_path)
    said = environment.run("python", "-m", "pytest", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "TradeSense contracts" in said
    assert " failed" not in said


@pytest.mark.parametrize("room", ROOMS)
def test_a_scaffolded_plugin_passes_its_tests_as_written(
    environment: CleanEnvironment, room: str, tmp_path: Path
) -> None:
    name = f"new-{room}"
    script = (
        f"from pathlib import Path; from tradesense.plugins.scaffold import write; write({room!r}, {name!r}, Path())"
    )
    environment.run("python", "-c", script, cwd=tmp_path)
    folder = tmp_path / f"tradesense-{name}"
    environment.install("--no-deps", folder)
    said = environment.run("python", "-m", "pytest", "-p", "no:cacheprovider", cwd=folder)
    assert "TradeSense contracts" in said
    assert " failed" not in said
    offered = environment.run(
        "python", "-c", "from tradesense.plugins.manager import load; print([f.name for f in load().found])"
    )
    assert name in offered
