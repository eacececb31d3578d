"""Plugins: what is installed, what it offers, and what won."""

from __future__ import annotations

from litestar import get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard


class Plugin(Struct, frozen=True, kw_only=True):
    """One plugin that was found."""

    name: str
    distribution: str
    version: str
    state: str
    why: str


class Offered(Struct, frozen=True, kw_only=True):
    """One adapter that a plugin offers."""

    room: str
    port: str
    name: str
    plugin: str
    summary: str
    stability: str
    capabilities: tuple[str, ...]


class Listing(Struct, frozen=True, kw_only=True):
    """All of it."""

    plugins: tuple[Plugin, ...]
    adapters: tuple[Offered, ...]
    bindings: dict[str, str]
    """Port to what stands behind it."""


@get("/api/v1/plugins", opt=guard("plugins:read"), tags=["plugins"])
async def list_plugins() -> Listing:
    """What is installed, what it offers, and what stands behind each port."""
    services = current().services
    found = tuple(
        Plugin(name=one.name, distribution=one.distribution, version=one.version, state=one.state, why=one.why)
        for one in services.plugins.found
    )
    offers = tuple(
        Offered(
            room=offer.adapter.room,
            port=offer.adapter.port.__name__,
            name=offer.adapter.name,
            plugin=offer.plugin,
            summary=offer.adapter.summary,
            stability=offer.adapter.stability,
            capabilities=tuple(sorted(offer.adapter.capabilities)),
        )
        for offer in services.plugins.registry.offers()
    )
    return Listing(plugins=found, adapters=offers, bindings=dict(services.bindings))


ROUTES: tuple[HTTPRouteHandler, ...] = (list_plugins,)
