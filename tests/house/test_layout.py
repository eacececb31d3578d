"""The same room has the same name on every floor, and the five floors are portions of one namespace package."""

from __future__ import annotations

import ast
import importlib
from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import pytest

from tradesense.plugins.manager import GROUP, load
from tradesense.settings.schema import Settings

ROOT = Path(__file__).parents[2]
FLOORS = ("core", "adapters", "plugins", "entrypoints", "settings")
ROOMS = sorted(ports.parent.name for ports in (ROOT / "core/tradesense/core").glob("*/ports.py"))
BESIDE_ROOMS = {"ambient", "transactions", "settings", "migrations"}
"""What an adapter's folder may hold besides rooms: the two ports that belong to no room, its settings, its schema."""
WITHOUT_HTTP = {"jobs"}
"""Nobody queues a job over HTTP, or looks at one."""


def test_the_rooms_are_the_eight_of_the_house() -> None:
    assert ROOMS == ["audit", "cache", "config", "flags", "identity", "jobs", "secrets", "telemetry"]


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_is_a_portion_of_the_namespace(floor: str) -> None:
    namespace = ROOT / floor / "tradesense"
    assert not (namespace / "__init__.py").exists(), "a file here would hide the other floors"
    assert [path.name for path in namespace.iterdir() if path.name != "__pycache__"] == [floor]
    assert (namespace / floor / "py.typed").exists()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_the_same_name_on_every_floor(room: str) -> None:
    wanted = [
        f"core/tradesense/core/{room}/models.py",
        f"core/tradesense/core/{room}/ports.py",
        f"core/tradesense/core/testing/{room}",
        f"tests/contract/test_{room}.py",
        f"docs/{room}.md",
        f"entrypoints/tradesense/entrypoints/cli/{room}",
    ]
    if room not in WITHOUT_HTTP:
        wanted.append(f"entrypoints/tradesense/entrypoints/http/{room}")
    absent = [path for path in wanted if not (_exists(path))]
    assert not absent, f"the room {room} lacks {', '.join(absent)}"


def _exists(path: str) -> bool:
    """A file, or a module or package by its name without a suffix."""
    return (ROOT / path).exists() or (ROOT / f"{path}.py").exists()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_a_service_and_a_settings_section(room: str) -> None:
    files = {path.stem for path in (ROOT / "core/tradesense/core" / room).glob("*.py")}
    assert files - {"__init__", "models", "ports"}, "a room has at least one module that works"
    assert room in Settings.__struct_fields__
    assert issubclass(type(getattr(Settings(), room)), msgspec.Struct)


def _providers() -> list[Path]:
    folder = ROOT / "adapters/tradesense/adapters"
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__")


@pytest.mark.parametrize("provider", _providers(), ids=lambda path: path.name)
def test_an_adapters_modules_are_named_as_the_rooms_they_serve(provider: Path) -> None:
    names = {path.stem for path in provider.iterdir() if path.name != "__pycache__"}
    strange = sorted(name for name in names if not name.startswith("_") and name not in {*ROOMS, *BESIDE_ROOMS})
    assert not strange, f"{provider.name}: {', '.join(strange)} is no room; begin a helper's name with an underscore"


@pytest.mark.parametrize("provider", _providers(), ids=lambda path: path.name)
def test_a_provider_is_offered_through_the_door_that_third_parties_use(provider: Path) -> None:
    points = {point.name: point.value for point in entry_points(group=GROUP)}
    assert points.get(provider.name) == f"tradesense.adapters.{provider.name}"


def test_each_adapter_stands_in_the_module_of_its_room() -> None:
    wrong = [
        f"{offer.adapter.port.__name__} {offer.adapter.name!r} is made by {offer.adapter.factory}"
        for offer in load().registry.offers()
        if offer.distribution == "tradesense"
        and not offer.adapter.factory.startswith(f"tradesense.adapters.{offer.plugin}.{offer.adapter.room}:")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("provider", _providers(), ids=lambda path: path.name)
def test_a_providers_package_holds_only_the_hook(provider: Path) -> None:
    tree = ast.parse((provider / "__init__.py").read_text())
    assert ast.get_docstring(tree), "say what the provider is"
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert "tradesense_adapters" in functions
    assert not [node for node in tree.body if isinstance(node, ast.ClassDef)]
    imported = {
        node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tradesense.adapters")
    }
    heavy = sorted(module for module in imported if not module.endswith(".settings"))
    assert not heavy, f"{', '.join(heavy)} is imported before the adapter is chosen"


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(part for part in parts if part != "__init__")


def _modules() -> list[Path]:
    return sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py") if "templates" not in path.parts)


def test_packages_say_what_they_export_and_modules_need_not() -> None:
    wrong: list[str] = []
    for path in _modules():
        tree = ast.parse(path.read_text())
        names = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        package = path.name == "__init__.py"
        reexports = (
            package
            and "adapters" not in path.parts
            and any(
                isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_dotted(path)) for node in tree.body
            )
        )
        if reexports and "__all__" not in names:
            wrong.append(f"{path.relative_to(ROOT)} re-exports and has no __all__")
        if not package and "__all__" in names:
            wrong.append(f"{path.relative_to(ROOT)} has an __all__, which belongs in packages alone")
    assert not wrong, "\n".join(wrong)


def _exporting() -> list[str]:
    return [_dotted(path) for path in _modules() if path.name == "__init__.py" and "__all__" in path.read_text()]


@pytest.mark.parametrize("package", _exporting())
def test_everything_in_all_exists(package: str) -> None:
    module = importlib.import_module(package)
    assert isinstance(module.__all__, tuple)
    for name in module.__all__:
        assert hasattr(module, name), name
