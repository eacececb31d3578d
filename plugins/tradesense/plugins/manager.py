"""Finding plugins by their entry points, and loading each within bounds of time and trust."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, entry_points

import msgspec
import pluggy

from tradesense.core.errors import ConfigurationError, IncompatiblePlugin, PluginFailed
from tradesense.plugins import hookspecs
from tradesense.plugins.bounds import MEND, Owner, bounded, short
from tradesense.plugins.manifest import PORT_API, Adapter
from tradesense.plugins.registry import Offer, Registry

GROUP = "tradesense.plugins"
LOAD_SECONDS = 5.0


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one plugin that was found."""

    name: str
    distribution: str
    version: str
    state: str
    """``loaded``, ``skipped`` (not on the allow-list) or ``failed`` (marked optional)."""
    why: str = ""


class Plugins:
    """All plugins of this environment. Loading happens once, in :func:`load`."""

    def __init__(self, registry: Registry, found: Sequence[Loaded]) -> None:
        self.registry = registry
        self.found = tuple(found)


def load(
    *, allow: Sequence[str] = (), optional: Sequence[str] = (), points: Iterable[EntryPoint] | None = None
) -> Plugins:
    """Load the plugins of this environment.

    :param allow: the names to load, all when empty.
    :param optional: names whose failure is noted instead of raised.
    :param points: entry points to use in place of the environment's.
    :raises PluginFailed: a plugin raised.
    :raises PluginTimedOut: a plugin took more than five seconds.
    :raises IncompatiblePlugin: an adapter was written for another port API.
    :raises DuplicateAdapter: two plugins offer the same adapter.
    """
    offers: list[Offer] = []
    found: list[Loaded] = []
    chosen = entry_points(group=GROUP) if points is None else points
    missing = set(allow)
    for point in sorted(chosen, key=lambda point: point.name):
        missing.discard(point.name)
        if allow and point.name not in allow:
            found.append(_loaded(point, "skipped", "not in TRADESENSE_PLUGINS"))
            continue
        try:
            offers.extend(_offers(point))
        except ConfigurationError as error:
            if point.name not in optional:
                raise
            found.append(_loaded(point, "failed", error.line()))
        else:
            found.append(_loaded(point, "loaded"))
    if missing:
        raise PluginFailed(
            f"no installed plugin is called {', '.join(sorted(missing))}",
            origin="TRADESENSE_PLUGINS",
            mend="install it, or take it from the list",
        )
    return Plugins(Registry(offers), found)


def _offers(point: EntryPoint) -> list[Offer]:
    owner = _owner(point)

    def ask() -> list[Adapter]:
        # a manager of its own, so that nothing that a bad plugin leaves behind is held against the next
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(point.load(), name=point.name)
        manager.check_pending()
        return [_adapter(offered) for adapters in manager.hook.tradesense_adapters() for offered in adapters]

    def failed(error: BaseException) -> ConfigurationError:
        if isinstance(error, ConfigurationError):
            return error
        told = f"plugin {point.name!r} raised {type(error).__name__}: {short(error)}"
        return PluginFailed(told, origin=owner.origin, mend=MEND)

    adapters = bounded(ask, owner, "load", seconds=LOAD_SECONDS, failed=failed)
    for adapter in adapters:
        low, high = adapter.api
        if not low <= PORT_API <= high:
            raise IncompatiblePlugin(
                f"plugin {point.name!r}: {adapter.port.__name__} {adapter.name!r} was written for port API "
                f"{low} to {high}, this release speaks {PORT_API}",
                origin=owner.origin,
                mend=f"upgrade {owner.distribution if high < PORT_API else 'tradesense'}",
            )
    return [
        Offer(adapter=adapter, plugin=point.name, distribution=owner.distribution, version=owner.version)
        for adapter in adapters
    ]


def _adapter(offered: object) -> Adapter:
    if not isinstance(offered, Adapter):
        raise TypeError(f"tradesense_adapters offered a {type(offered).__name__}, not an Adapter")
    return offered


def _owner(point: EntryPoint) -> Owner:
    distribution, version = _named(point.dist) if point.dist else ("unknown", "0")
    return Owner(plugin=point.name, distribution=distribution, version=version)


@lru_cache
def _named(distribution: Distribution) -> tuple[str, str]:
    # reading either parses the whole of the metadata, description and all, which many plugins may share
    return distribution.name, distribution.version


def _loaded(point: EntryPoint, state: str, why: str = "") -> Loaded:
    owner = _owner(point)
    return Loaded(name=owner.plugin, distribution=owner.distribution, version=owner.version, state=state, why=why)
