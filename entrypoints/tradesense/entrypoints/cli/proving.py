"""Whether an adapter is what its manifest says: built, but not opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tradesense.core.audit.chain import AuditChain
from tradesense.core.capabilities import Capability
from tradesense.core.errors import SettingsInvalid, TradeSenseError
from tradesense.core.secrets.ports import RotatingSecretStore, VersionedSecretStore, WritableSecretStore
from tradesense.core.telemetry.ports import Scrapable
from tradesense.entrypoints import parts
from tradesense.entrypoints.adapters import Adapters
from tradesense.plugins.manager import Plugins
from tradesense.plugins.registry import Offer
from tradesense.settings.schema import Settings

PROTOCOLS: Mapping[Capability, type[Any]] = {
    Capability.WRITE: WritableSecretStore,
    Capability.VERSIONS: VersionedSecretStore,
    Capability.ROTATION: RotatingSecretStore,
    Capability.SCRAPE: Scrapable,
}
"""Capabilities that promise more methods than the port has."""


def prove(plugins: Plugins, offers: Iterable[Offer], settings: Settings) -> list[dict[str, Any]]:
    """A row for each offer: whether it can be built with the settings that there are, and has every method."""
    return [_prove(plugins, offer, settings) for offer in offers]


def _prove(plugins: Plugins, offer: Offer, settings: Settings) -> dict[str, Any]:
    adapter = offer.adapter
    row = {"port": f"{adapter.room}.{adapter.port.__name__}", "name": adapter.name}
    adapters = Adapters(settings, plugins)
    adapters.context.chain = AuditChain(adapters.random.bytes(32))
    adapters.context.sealer = lambda: parts.sealer(adapters, settings)
    try:
        built: object = adapters.choose(adapter.port, adapter.name, adapter.settings_section)
    except SettingsInvalid as error:
        return {**row, "ok": False, "detail": "; ".join(f"{one.key}: {one.message}" for one in error.problems)}
    except TradeSenseError as error:
        return {**row, "ok": False, "detail": error.line()}
    has = set(dir(built))
    lacks = [name for name in _promised(adapter.port, adapter.capabilities) if name not in has]
    return {**row, "ok": not lacks, "detail": f"has no {', '.join(lacks)}" if lacks else "built"}


def _promised(port: type[Any], capabilities: frozenset[Capability]) -> list[str]:
    protocols = [port, *(PROTOCOLS[capability] for capability in sorted(capabilities) if capability in PROTOCOLS)]
    return list(dict.fromkeys(name for protocol in protocols for name in _methods(protocol)))


def _methods(protocol: type[Any]) -> Sequence[str]:
    names = {name for kind in protocol.__mro__ if kind is not object for name in vars(kind)}
    return sorted(name for name in names if not name.startswith("_"))
