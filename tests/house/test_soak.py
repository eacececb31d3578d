"""Every experiment that has a short form is run whole by `make soak`, and has the time for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def _tests() -> Iterator[tuple[str, bool, bool]]:
    """Each test by name, whether it asks which form to run in, and whether it is marked."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                asks = any(argument.arg == "soaking" for argument in node.args.args)
                marked = any(ast.unparse(mark).startswith("pytest.mark.soak") for mark in node.decorator_list)
                yield f"{path.relative_to(TESTS)}::{node.name}", asks, marked


def test_who_asks_whether_to_run_whole_is_marked_and_who_is_marked_asks() -> None:
    found = list(_tests())
    assert [name for name, asks, marked in found if asks != marked] == []
    assert sum(marked for _, _, marked in found) > 5


def test_an_experiment_that_is_run_whole_has_its_time(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time-out that a test sets itself is for its short form."""
    plugins = request.config.pluginmanager.get_plugins()
    (suite,) = (one for one in plugins if getattr(one, "__file__", "") == str(TESTS / "conftest.py"))
    request.node.add_marker(pytest.mark.timeout(7))
    request.node.add_marker("soak")
    monkeypatch.delenv(suite.SOAK, raising=False)
    suite.pytest_collection_modifyitems([request.node])
    assert request.node.get_closest_marker("timeout").args == (7,)
    monkeypatch.setenv(suite.SOAK, "1")
    suite.pytest_collection_modifyitems([request.node])
    assert request.node.get_closest_marker("timeout").args == (3600,)
