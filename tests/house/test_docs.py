"""Every hook, port, method, setting and error stands in the documentation, as one would look for it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from _pytest.fixtures import FixtureFunctionDefinition

import distributions
from tradesense.core import testing
from tradesense.core.errors import every_error
from tradesense.plugins import hookspecs
from tradesense.plugins.manager import load
from tradesense.settings.environment import COMMON
from tradesense.settings.schema import Settings

ROOT = Path(__file__).parents[2]
ROOMS = sorted(ports.parent.name for ports in (ROOT / "core/tradesense/core").glob("*/ports.py"))
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)#\s]*)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def docs() -> str:
    """All pages, one after the other."""
    return "\n".join(path.read_text() for path in _pages())


def _pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _page(room: str) -> str:
    page = ROOT / "docs" / f"{room}.md"
    return page.read_text() if page.exists() else ""


def _missing(wanted: Iterator[str], text: str) -> str:
    """What of `wanted` does not stand in `text` as a whole word."""
    return ", ".join(term for term in wanted if not re.search(rf"(?<![\w.-]){re.escape(term)}(?![\w-]|\.\w)", text))


def _ports(room: str) -> dict[str, type[Any]]:
    """The Protocols that the room's ports module defines, with the parts of a store that it takes from beside it."""
    module = __import__(f"tradesense.core.{room}.ports", fromlist=["ports"])
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and value.__module__ in {module.__name__, f"tradesense.core.{room}.repositories"}
        and getattr(value, "_is_protocol", False)
        and not name.startswith("_")
    }


def _section(page: str, title: str) -> str:
    """What stands under the heading `title`, up to the next heading."""
    found = re.search(rf"^#+ `{title}`$(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


@pytest.mark.parametrize("room", ROOMS)
def test_every_port_and_method_stands_on_its_rooms_page(room: str) -> None:
    """The port is a heading, in code style; under it are its methods, as `await get(path)`."""
    page = _page(room)
    missing = [
        f"{name}.{method}"
        for name, port in _ports(room).items()
        for method in (method for method in vars(port) if not method.startswith("_"))
        if not re.search(rf"`(?:await )?{method}[(`]", _section(page, name))
    ]
    assert not missing, f"docs/{room}.md lacks {', '.join(missing)}"


def test_the_generated_parts_are_up_to_date() -> None:
    distributions.command(sys.executable, ROOT / "docs" / "generate.py", "--check")


def test_every_hook_is_documented(docs: str) -> None:
    """With its arguments, as `tradesense_adapters()`."""
    hooks = [
        f"{name}({', '.join(inspect.signature(value).parameters)})"
        for name, value in vars(hookspecs).items()
        if hasattr(value, "tradesense_spec")
    ]
    assert hooks
    assert not (missing := [hook for hook in hooks if hook not in docs]), f"docs lack {', '.join(missing)}"


def _settings(kind: type[msgspec.Struct], place: str) -> Iterator[str]:
    """The dotted names of a Struct's fields, of Structs inside it as well."""
    for field in msgspec.structs.fields(kind):
        key = f"{place}.{field.encode_name}" if place else field.encode_name
        if inspect.isclass(field.type) and issubclass(field.type, msgspec.Struct):
            yield from _settings(field.type, key)
        elif key != "adapters":
            yield key


def test_every_setting_of_the_platform_is_documented(docs: str) -> None:
    """By its dotted name, as `secrets.provider`."""
    assert not (missing := _missing(_settings(Settings, ""), docs)), f"docs lack {missing}"


def test_every_variable_that_sets_one_is_documented() -> None:
    """Between back quotes, on the page of the settings."""
    page = (ROOT / "docs/settings.md").read_text()
    assert not (missing := [name for name in COMMON if f"`{name}`" not in page]), f"it lacks {', '.join(missing)}"


def _fixtures() -> Iterator[tuple[str, str]]:
    """The contract, and the name, of every fixture that the author of an adapter may override."""
    for name in testing.__all__:
        contract = getattr(testing, name)
        if inspect.isclass(contract) and issubclass(contract, testing.Contract) and contract is not testing.Contract:
            yield from (
                (name, fixture)
                for parent in contract.__mro__
                for fixture, value in vars(parent).items()
                if isinstance(value, FixtureFunctionDefinition) and not fixture.startswith("_")
            )


def test_every_fixture_of_a_contract_is_documented() -> None:
    """In the table of the page for authors, beside the contract; `adapter` is told before, the common ones of all."""
    page = (ROOT / "docs/plugins.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    found = set(_fixtures()) - {(name, "adapter") for name in testing.__all__}
    assert len(found) > 40
    missing = [
        f"{contract}.{fixture}"
        for contract, fixture in sorted(found)
        if not any(
            f"`{fixture}`" in row.split("|")[1]
            and (fixture in {"unreachable", "transactions"} or f"`{contract}`" in row)
            for row in rows
        )
    ]
    assert not missing, f"docs/plugins.md lacks {', '.join(missing)}"


def test_every_setting_of_an_adapter_is_documented(docs: str) -> None:
    """By its dotted name, as `secrets.vault.address`."""
    ours = (offer.adapter for offer in load().registry.offers() if offer.distribution == "tradesense")
    wanted = (key for adapter in ours for key in _settings(adapter.settings, adapter.settings_section))
    assert not (missing := _missing(wanted, docs)), f"docs lack {missing}"


def test_every_adapter_is_documented_on_its_rooms_page() -> None:
    """By its name, in code style, as `` `vault` ``."""
    missing = [
        f"docs/{room}.md: `{offer.adapter.name}`"
        for offer in load().registry.offers()
        if offer.distribution == "tradesense"
        and (room := offer.adapter.room) in ROOMS
        and f"`{offer.adapter.name}`" not in _page(room)
    ]
    assert not missing, "\n".join(missing)


def test_every_error_is_documented(docs: str) -> None:
    """By its class and by its code, both in code style, as `` `SecretNotFound` `` and `` `secret-not-found` ``."""
    ours = [error for error in every_error() if error.__module__ == "tradesense.core.errors"]
    missing = [f"`{term}`" for error in ours for term in (error.__name__, error.code) if f"`{term}`" not in docs]
    assert not missing, f"docs lack {', '.join(missing)}"


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in every_error() if error.__module__ == "tradesense.core.errors"]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("page", _pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_docs_leads_somewhere(page: Path) -> None:
    broken = [target for target in LINK.findall(page.read_text()) if target and not (page.parent / target).exists()]
    assert not broken, f"{page.relative_to(ROOT)}: {', '.join(broken)}"
