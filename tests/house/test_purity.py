"""The core depends on the standard library and msgspec; its contract suites on pytest besides."""

from __future__ import annotations

import sys

import grimp
import pytest

DOING_IO = {
    *("ctypes", "ftplib", "http", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "select", "shelve"),
    *("shutil", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "threading"),
    *("urllib.request", "webbrowser", "xmlrpc"),
}
AMBIENT = {"random", "secrets", "time", "uuid", "locale", "getpass", "platform"}
"""What the core is given as `Clock`, `Random` and `Ids`, so that it can be tested."""
UNSAFE = {"marshal", "pickle"}


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """For each module of the core, what it imports from outside of the core."""
    graph = grimp.build_graph("tradesense.core", include_external_packages=True, cache_dir=None)
    return {
        module: {name for name in graph.find_modules_directly_imported_by(module) if not _is_core(name)}
        for module in graph.modules
        if _is_core(module)
    }


def _is_core(module: str) -> bool:
    return f"{module}.".startswith("tradesense.core.")


def _is_testing(module: str) -> bool:
    return f"{module}.".startswith("tradesense.core.testing.")


def test_the_core_imports_only_the_standard_library_and_msgspec(imports: dict[str, set[str]]) -> None:
    allowed = sys.stdlib_module_names | {"msgspec"}
    wrong = [
        f"{module} imports {name}"
        for module, names in sorted(imports.items())
        for name in sorted(names)
        if name.partition(".")[0] not in (allowed | {"pytest"} if _is_testing(module) else allowed)
    ]
    assert len(imports) > 30
    assert not wrong, "\n".join(wrong)


def test_the_rooms_do_no_io_and_take_no_clock_but_the_given_one(imports: dict[str, set[str]]) -> None:
    wrong = [
        f"{module} imports {name}"
        for module, names in sorted(imports.items())
        for name in sorted(names & (DOING_IO | AMBIENT | UNSAFE))
        if not _is_testing(module)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_room_imports_the_contract_suites() -> None:
    graph = grimp.build_graph("tradesense.core", cache_dir=None)
    wrong = [
        f"{module} imports {name}"
        for module in sorted(graph.modules)
        if not _is_testing(module)
        for name in sorted(graph.find_modules_directly_imported_by(module))
        if _is_testing(name)
    ]
    assert not wrong, "\n".join(wrong)
