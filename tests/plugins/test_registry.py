"""What settings name is found among what is offered, or the nearest names are told; what is found can be built."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from tradesense.core.cache import CacheStore
from tradesense.core.errors import MissingDependency, PluginFailed, SecretStoreUnavailable, UnknownProvider
from tradesense.core.secrets import SecretStore
from tradesense.plugins import Adapter, AdapterContext, NoSettings, Requirement
from tradesense.plugins.registry import Offer, Registry, build


class Nothing:
    """Stands for time, chance and names where nobody asks for them."""


@pytest.fixture
def context() -> AdapterContext:
    nothing = Nothing()
    return AdapterContext(clock=nothing, random=nothing, ids=nothing)


def offer(name: str, *, port: type = SecretStore, factory: str = "builtins:dict", requires: tuple = ()) -> Offer:
    adapter = Adapter(port=port, name=name, factory=factory, summary="for a test", requires=requires)
    return Offer(adapter=adapter, plugin="acme", distribution="tradesense-acme", version="3")


REGISTRY = Registry([offer("vault"), offer("memory"), offer("aws"), offer("redis", port=CacheStore)])


def test_offers_come_by_room_port_and_name() -> None:
    assert [each.adapter.name for each in REGISTRY.offers()] == ["redis", "aws", "memory", "vault"]
    assert [each.adapter.name for each in REGISTRY.offers(SecretStore)] == ["aws", "memory", "vault"]


@pytest.mark.parametrize(
    ("name", "near"), [("vualt", "vault"), ("memroy", "memory"), ("redis", "aws, memory, vault"), ("", "aws, memory")]
)
def test_an_unknown_provider_is_answered_with_the_nearest_names(name: str, near: str) -> None:
    with pytest.raises(UnknownProvider) as caught:
        REGISTRY.choose(SecretStore, name, key="secrets.provider", origin="TRADESENSE_SECRETS__PROVIDER")
    assert caught.value.detail == f"secrets.provider: no plugin offers SecretStore {name!r}"
    assert caught.value.origin == "TRADESENSE_SECRETS__PROVIDER"
    assert near in caught.value.mend


def test_a_port_that_nobody_offers_says_so() -> None:
    with pytest.raises(UnknownProvider, match="CacheStore") as caught:
        Registry([]).choose(CacheStore, "redis", key="cache.provider")
    assert caught.value.mend == "install a plugin that offers it"


@pytest.mark.parametrize("module", ["an_absent_sdk", "an_absent_sdk.deep.inside", "json.no_such_part"])
def test_a_missing_library_answers_with_the_command_that_brings_it(context: AdapterContext, module: str) -> None:
    ours = Requirement(module=module, distribution="acme-sdk", extra="acme")
    with pytest.raises(MissingDependency) as caught:
        build(offer("acme", requires=(ours,)), NoSettings(), context)
    assert caught.value.line() == "acme-sdk is not installed; pip install 'tradesense[acme]'"
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize(
    ("requirement", "mend"),
    [
        (
            Requirement(module="absent", distribution="sdk", extra="x", package="tradesense-acme"),
            "'tradesense-acme[x]'",
        ),
        (Requirement(module="absent", distribution="sdk"), "sdk"),
    ],
)
def test_a_third_party_names_its_own_extra(context: AdapterContext, requirement: Requirement, mend: str) -> None:
    with pytest.raises(MissingDependency) as caught:
        build(offer("acme", requires=(requirement,)), NoSettings(), context)
    assert caught.value.mend == f"pip install {mend}"


def test_nothing_is_imported_before_it_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: AdapterContext
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "chosen_late.py").write_text("def make(settings, context):\n    return (settings, context)\n")
    registry = Registry([offer("late", factory="chosen_late:make")])
    found = registry.choose(SecretStore, "late", key="secrets.provider")
    assert "chosen_late" not in sys.modules
    settings = NoSettings()
    assert build(found, settings, context) == (settings, context)
    del sys.modules["chosen_late"]


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("no_such_module_at_all:make", "No module named"),
        ("json:no_such_factory", "no_such_factory"),
        ("json", "cannot be imported"),
        ("broken_factory_module:make", "division by zero"),
    ],
)
def test_a_factory_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: AdapterContext, factory: str, said: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_factory_module.py").write_text("1 / 0\n")
    with pytest.raises(PluginFailed) as caught:
        build(offer("acme", factory=factory), NoSettings(), context)
    assert said in caught.value.detail
    assert caught.value.origin == "tradesense-acme 3"


class Keyed(msgspec.Struct, frozen=True):
    key: str


def refuse(settings: Keyed, _: AdapterContext) -> None:
    raise ValueError(f"bad key {settings.key}")


def away(_: Keyed, __: AdapterContext) -> None:
    raise SecretStoreUnavailable("it is away")


def test_a_factory_that_raises_is_named_and_quotes_no_setting(
    monkeypatch: pytest.MonkeyPatch, context: AdapterContext
) -> None:
    monkeypatch.setitem(sys.modules, "raising_factories", sys.modules[__name__])
    with pytest.raises(PluginFailed) as caught:
        build(offer("acme", factory="raising_factories:refuse"), Keyed(key="canary-5812"), context)
    assert "raised ValueError" in caught.value.detail
    assert "canary" not in caught.value.line()
    with pytest.raises(SecretStoreUnavailable):
        build(offer("acme", factory="raising_factories:away"), Keyed(key="x"), context)
