"""A suite is judged by running it over adapters that are wrong on purpose.

`wrong_ROOM.py` holds them: one class per adapter, `caught_by` naming the tests that must fail for it. A class without
`caught_by` holds an adapter that is right. `test_wrong_ROOM.py` runs the whole file in one pytest of its own.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tradesense.core.testing import Contract


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "judge" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(400))  # it is a whole pytest run, with time-outs of its own inside
    beside = [item for item in items if not _asked(item)]
    if beside:
        items[:] = [item for item in items if _asked(item)]
        config.hook.pytest_deselected(items=beside)


def _asked(item):
    """Whether anything follows from a test: of an adapter that is wrong, from those that have to catch it."""
    caught_by = getattr(getattr(item, "cls", None), "caught_by", ())
    return not caught_by or item.originalname in caught_by


@pytest.fixture
def judge(request, tmp_path):
    """Run the contracts of some files beside the test and say what differs from their `caught_by`."""

    def run(*names):
        paths = [request.path.parent / name for name in names]
        card = tmp_path / "scorecard.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--no-header",
            "-p",
            "no:cacheprovider",
            "--tb=line",
            "--timeout=50",
        ]
        done = subprocess.run(
            [*command, f"--rootdir={request.config.rootpath}", f"--tradesense-scorecard={card}", *map(str, paths)],
            cwd=request.config.rootpath,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        cards = {".".join(entry["contract"].split(".")[-2:]): entry for entry in json.loads(card.read_text())}
        modules = [_module(path) for path in paths]
        expected = {name: caught_by for module in modules for name, caught_by in _expected(module).items()}
        assert expected.keys() == cards.keys(), done.stdout
        wrongs = [cls for cls, caught_by in expected.items() if caught_by]
        for port in {entry["port"] for entry in cards.values()}:
            assert sum(cards[cls]["port"] == port for cls in wrongs) >= 3, f"{port}: three wrong adapters are the least"
            assert any(cards[cls]["port"] == port for cls in cards.keys() - wrongs), f"{port}: no right adapter"
        if all(getattr(module, "THREE_FOR_EACH_RULE", False) for module in modules):
            ruled = {
                (cards[cls]["port"], test.partition("[")[0])
                for cls in cards.keys() - wrongs
                for test in cards[cls]["proved"]
            }
            counts = {
                (port, rule): sum(cards[cls]["port"] == port and rule in expected[cls] for cls in wrongs)
                for port, rule in ruled
                if rule not in vars(Contract)
            }
            few = {rule: count for rule, count in counts.items() if count < 3}
            assert not few, f"three wrong adapters for each rule are the least: {few}"
        faults = []
        for cls, caught_by in expected.items():
            failed = {test.partition("[")[0] for test in cards[cls]["failed"]}
            if caught_by - failed:
                faults.append(f"{cls} passed {', '.join(sorted(caught_by - failed))}")
            if not caught_by and failed:
                faults.append(f"{cls} is right, and failed {', '.join(sorted(failed))}")
        assert not faults, "\n".join([*faults, done.stdout])
        return cards

    return run


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _expected(module: ModuleType) -> dict[str, set[str]]:
    return {
        f"{module.__name__}.{name}": set(getattr(cls, "caught_by", ()))
        for name, cls in vars(module).items()
        if name.startswith("Test") and isinstance(cls, type)
    }
