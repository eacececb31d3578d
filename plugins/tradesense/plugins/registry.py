"""Every adapter that the loaded plugins offer, and how the chosen one is built."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import msgspec

from tradesense.core.errors import DuplicateAdapter, MissingDependency, PluginFailed, TradeSenseError, UnknownProvider
from tradesense.plugins.bounds import Owner, bounded, short
from tradesense.plugins.manifest import Adapter, AdapterContext, Requirement

BUILD_SECONDS = 7.0
"""How long a factory may take; it is the one that imports an SDK."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter, and who offers it."""

    adapter: Adapter
    plugin: str
    """The plugin's entry-point name."""
    distribution: str
    version: str

    @property
    def owner(self) -> Owner:
        """Whose it is, for errors."""
        return Owner(plugin=self.plugin, distribution=self.distribution, version=self.version)


class Registry:
    """Adapters by port and name. It never changes once it is made.

    :raises DuplicateAdapter: two offers have the same port and name.
    """

    def __init__(self, offers: Iterable[Offer]) -> None:
        self._offers: dict[tuple[type[Any], str], Offer] = {}
        for offer in offers:
            key = (offer.adapter.port, offer.adapter.name)
            if (first := self._offers.get(key)) is not None:
                raise DuplicateAdapter(
                    f"{offer.adapter.port.__name__} {offer.adapter.name!r} is offered by {first.distribution} "
                    f"(plugin {first.plugin}) and by {offer.distribution} (plugin {offer.plugin})",
                    mend="uninstall one, or leave one out of TRADESENSE_PLUGINS",
                )
            self._offers[key] = offer

    def offers(self, port: type[Any] | None = None) -> tuple[Offer, ...]:
        """All offers, or those for one port, by room, port and name."""
        found = [offer for offer in self._offers.values() if port is None or offer.adapter.port is port]
        return tuple(sorted(found, key=lambda o: (o.adapter.room, o.adapter.port.__name__, o.adapter.name)))

    def choose(self, port: type[Any], name: str, *, key: str, origin: str = "settings") -> Offer:
        """The offer that the setting ``key`` names.

        :raises UnknownProvider: nobody offers it; the mend lists the nearest names.
        """
        if (offer := self._offers.get((port, name))) is not None:
            return offer
        names = [offer.adapter.name for offer in self.offers(port)]
        near = get_close_matches(name, names, n=3, cutoff=0.4) or names
        raise UnknownProvider(
            f"{key}: no plugin offers {port.__name__} {name!r}",
            origin=origin,
            mend=f"use one of {', '.join(near)}" if near else "install a plugin that offers it",
        )


def build(offer: Offer, settings: msgspec.Struct, context: AdapterContext) -> Any:
    """Import the adapter's factory and call it, within seven seconds.

    :raises MissingDependency: a distribution that it requires is not installed.
    :raises PluginFailed: the factory cannot be imported, or raised something that is not ours.
    :raises PluginTimedOut: it did not come back.
    """
    adapter, owner = offer.adapter, offer.owner
    said = f"the factory {adapter.factory!r} of plugin {offer.plugin!r}"

    def make() -> Any:
        for requirement in adapter.requires:
            if not installed(requirement):
                raise MissingDependency(requirement.distribution, extra=requirement.extra, package=requirement.package)
        return _factory(adapter, said, owner)(settings, context)

    def failed(error: BaseException) -> TradeSenseError:
        if isinstance(error, TradeSenseError):
            return error
        # not told further than by its name: it may quote a setting, and that a secret
        return PluginFailed(
            f"{said} raised {type(error).__name__}",
            origin=owner.origin,
            mend=f"check the settings under {adapter.settings_section}",
        )

    return bounded(make, owner, f"build {adapter.port.__name__} {adapter.name!r}", seconds=BUILD_SECONDS, failed=failed)


def _factory(adapter: Adapter, said: str, owner: Owner) -> Callable[[msgspec.Struct, AdapterContext], Any]:
    module_name, _, attribute = adapter.factory.partition(":")
    try:
        factory: Callable[[msgspec.Struct, AdapterContext], Any] = getattr(
            importlib.import_module(module_name), attribute
        )
    except (Exception, SystemExit) as error:  # a plugin's module may raise anything while it is imported
        raise PluginFailed(
            f"{said} cannot be imported: {type(error).__name__}: {short(error)}",
            origin=owner.origin,
            mend="reinstall the plugin",
        ) from error
    return factory


def installed(requirement: Requirement) -> bool:
    """Whether what is required can be imported; found out without importing the module itself."""
    try:
        return importlib.util.find_spec(requirement.module) is not None
    except ModuleNotFoundError:  # a parent package is absent
        return False
