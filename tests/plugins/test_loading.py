"""A plugin that is wrong in any way is named, with its distribution and what to do; it never takes others with it."""

from __future__ import annotations

import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tradesense.core.errors import DuplicateAdapter, IncompatiblePlugin, PluginFailed, PluginTimedOut, TradeSenseError
from tradesense.core.secrets import SecretStore
from tradesense.plugins import PORT_API, manager
from tradesense.plugins.bounds import OURS, Owner, bounded
from tradesense.plugins.manager import Loaded, load

Write = Callable[..., EntryPoint]

OFFER = """
from tradesense.core.secrets import SecretStore
from tradesense.plugins import Adapter, hookimpl

@hookimpl
def tradesense_adapters():
    return [Adapter(port=SecretStore, name={name!r}, factory="acme:make", summary="Acme", api={api})]
"""


def offer(name: str, api: tuple[int, int] = (PORT_API, PORT_API)) -> str:
    return OFFER.format(name=name, api=api)


@dataclass(frozen=True)
class Distribution:
    """What is asked of one."""

    name: str
    version: str


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module, and returns the entry point of a distribution that offers it."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(name: str, source: str, *, version: str = "1.2") -> EntryPoint:
        (tmp_path / f"{name}_module.py").write_text(textwrap.dedent(source))
        point = EntryPoint(name=name, value=f"{name}_module", group=manager.GROUP)
        vars(point).update(dist=Distribution(name=f"tradesense-{name}", version=version))
        return point

    yield write
    for name in set(sys.modules) - before:
        if name.endswith("_module"):
            del sys.modules[name]


def test_a_plugins_adapters_are_offered_in_its_name(plugin: Write) -> None:
    plugins = load(points=[plugin("acme", offer("acme"))])
    chosen = plugins.registry.choose(SecretStore, "acme", key="secrets.provider")
    assert (chosen.plugin, chosen.distribution, chosen.version) == ("acme", "tradesense-acme", "1.2")
    assert plugins.found == (Loaded(name="acme", distribution="tradesense-acme", version="1.2", state="loaded"),)


def test_a_plugin_without_the_hook_offers_nothing(plugin: Write) -> None:
    assert load(points=[plugin("empty", "")]).registry.offers() == ()


BAD = {
    "raises at import": ("raise RuntimeError('no licence')", "raised RuntimeError: no licence"),
    "needs a library that is absent": ("import a_library_that_is_absent", "ModuleNotFoundError"),
    "has a syntax error": ("def", "raised SyntaxError"),
    "exits": ("raise SystemExit(0)", "raised SystemExit"),
    "exits by the site's function": ("exit()", "raised SystemExit"),
    "raises in its hook": (
        """
        from tradesense.plugins import hookimpl
        @hookimpl
        def tradesense_adapters():
            raise ZeroDivisionError("in the hook")
        """,
        "raised ZeroDivisionError: in the hook",
    ),
    "misspells its hook": (
        """
        from tradesense.plugins import hookimpl
        @hookimpl
        def tradesense_adaptors():
            return []
        """,
        "tradesense_adaptors",
    ),
    "offers what is no adapter": (
        """
        from tradesense.plugins import hookimpl
        @hookimpl
        def tradesense_adapters():
            return ["memory"]
        """,
        "offered a str, not an Adapter",
    ),
    "offers nothing that can be gone through": (
        """
        from tradesense.plugins import hookimpl
        @hookimpl
        def tradesense_adapters():
            return 7
        """,
        "raised TypeError",
    ),
}


@pytest.mark.parametrize(("source", "said"), BAD.values(), ids=BAD)
def test_a_plugin_that_fails_is_named(plugin: Write, source: str, said: str) -> None:
    with pytest.raises(PluginFailed) as caught:
        load(points=[plugin("bad", source)])
    assert "'bad'" in caught.value.detail
    assert said in caught.value.detail
    assert caught.value.origin == "tradesense-bad 1.2"
    assert caught.value.mend


@pytest.mark.parametrize(("source", "said"), BAD.values(), ids=BAD)
def test_an_optional_plugin_that_fails_leaves_the_others_alone(plugin: Write, source: str, said: str) -> None:
    points = [plugin("bad", source), plugin("good", offer("good"))]
    plugins = load(points=points, optional=["bad"])
    states = {found.name: found for found in plugins.found}
    assert (states["bad"].state, states["good"].state) == ("failed", "loaded")
    assert said in states["bad"].why
    assert [each.plugin for each in plugins.registry.offers()] == ["good"]


HANGS = """
from threading import Event
released = Event()
released.wait(60)
"""


@pytest.fixture
def hanging(plugin: Write, monkeypatch: pytest.MonkeyPatch) -> Iterator[EntryPoint]:
    monkeypatch.setattr(manager, "LOAD_SECONDS", 0.2)
    yield plugin("hangs", HANGS)
    if (module := sys.modules.get("hangs_module")) is not None:
        module.released.set()


def test_a_plugin_that_hangs_is_named(hanging: EntryPoint) -> None:
    with pytest.raises(PluginTimedOut) as caught:
        load(points=[hanging])
    assert "'hangs' did not load within 0.2 s" in caught.value.detail
    assert caught.value.origin == "tradesense-hangs 1.2"


def test_an_optional_plugin_that_hangs_is_gone_on_without(hanging: EntryPoint, plugin: Write) -> None:
    plugins = load(points=[hanging, plugin("quick", offer("quick"))], optional=["hangs"])
    assert [(found.name, found.state) for found in plugins.found] == [("hangs", "failed"), ("quick", "loaded")]


@pytest.mark.parametrize(
    ("api", "upgrade"),
    [((PORT_API + 1, PORT_API + 3), "tradesense"), ((PORT_API - 2, PORT_API - 1), "tradesense-other")],
    ids=["newer", "older"],
)
def test_a_plugin_for_another_port_api_says_who_is_to_be_upgraded(
    plugin: Write, api: tuple[int, int], upgrade: str
) -> None:
    with pytest.raises(IncompatiblePlugin) as caught:
        load(points=[plugin("other", offer("other", api))])
    assert f"written for port API {api[0]} to {api[1]}" in caught.value.detail
    assert caught.value.mend == f"upgrade {upgrade}"


def test_a_plugin_for_a_range_of_port_apis_is_taken(plugin: Write) -> None:
    assert load(points=[plugin("wide", offer("wide", (PORT_API - 1, PORT_API + 1)))]).registry.offers()


def test_two_plugins_with_one_adapter_are_both_named(plugin: Write) -> None:
    points = [plugin("one", offer("same")), plugin("two", offer("same"))]
    with pytest.raises(DuplicateAdapter) as caught:
        load(points=points)
    for said in ("SecretStore 'same'", "tradesense-one (plugin one)", "tradesense-two (plugin two)"):
        assert said in caught.value.detail
    assert load(points=points, allow=["two"]).registry.offers()[0].plugin == "two"


def test_the_allow_list_keeps_the_rest_from_being_imported(plugin: Write) -> None:
    points = [plugin("bad", "raise RuntimeError"), plugin("good", offer("good"))]
    plugins = load(points=points, allow=["good"])
    assert [(found.name, found.state) for found in plugins.found] == [("bad", "skipped"), ("good", "loaded")]
    assert "bad_module" not in sys.modules
    assert "TRADESENSE_PLUGINS" in plugins.found[0].why


def test_a_name_on_the_allow_list_that_is_not_installed_is_an_error(plugin: Write) -> None:
    with pytest.raises(PluginFailed, match="no installed plugin is called absent, gone") as caught:
        load(points=[plugin("good", offer("good"))], allow=["good", "gone", "absent"])
    assert caught.value.origin == "TRADESENSE_PLUGINS"


def test_each_of_these_errors_is_one_line_with_a_mend(plugin: Write) -> None:
    with pytest.raises(TradeSenseError) as caught:
        load(points=[plugin("bad", "raise RuntimeError('x')")])
    assert caught.value.line() == "plugin 'bad' raised RuntimeError: x (from tradesense-bad 1.2); remove it or mend it"


@pytest.mark.parametrize("distribution", [OURS, "tradesense-acme"])
def test_what_is_part_of_the_platform_has_all_the_time_that_a_busy_machine_takes(distribution: str) -> None:
    owner = Owner(plugin="acme", distribution=distribution, version="1.2")
    go = threading.Event()

    def work() -> str:
        go.wait(0 if owner.ours else 30)
        return "made"

    try:
        if owner.ours:
            assert bounded(work, owner, "load", seconds=0, failed=owner.failed) == "made"
        else:
            with pytest.raises(PluginTimedOut):
                bounded(work, owner, "load", seconds=0, failed=owner.failed)
    finally:
        go.set()


def test_what_goes_wrong_in_a_part_of_the_platform_is_told_like_all_else() -> None:
    owner = Owner(plugin="acme", distribution=OURS, version="1.2")
    with pytest.raises(PluginFailed, match="raised SystemExit") as told:
        bounded(sys.exit, owner, "load", seconds=0, failed=owner.failed)
    assert isinstance(told.value.__cause__, SystemExit)
