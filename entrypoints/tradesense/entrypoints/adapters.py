"""Choosing adapters by settings, building them, and opening them in the order of their needs."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, TypeVar

from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.capabilities import Capability
from tradesense.core.errors import ConfigurationError
from tradesense.core.steady import SteadyClock
from tradesense.entrypoints.opening import opened
from tradesense.plugins.bounds import Owner
from tradesense.plugins.manager import Plugins
from tradesense.plugins.manifest import AdapterContext
from tradesense.plugins.registry import Offer, build
from tradesense.settings.schema import Settings
from tradesense.settings.sections import adapter_settings

P = TypeVar("P")

AMBIENT = "system"
"""The one clock, random source and maker of identifiers. Where they come from is not a choice of deployment."""


class _NotYet:
    """Stands in a context for what is not built yet."""

    def __getattr__(self, name: str) -> Any:
        raise ConfigurationError(f"{name!r} is asked of a clock, random source or maker of ids that is not built yet")


_NOT_YET: Any = _NotYet()


class Adapters:
    """The adapters of one container. Asking for the same twice gives the same object."""

    def __init__(self, settings: Settings, plugins: Plugins, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._plugins = plugins
        self._built: dict[tuple[type[Any], str], Any] = {}
        self._to_open: list[tuple[object, Owner]] = []
        self._working: list[Owner] = []
        """Whose code runs now, and by whom it was called."""
        self.bindings: dict[str, str] = {}
        self.clock: Clock = clock or _NOT_YET
        self.random: Random = _NOT_YET
        self.ids: Ids = _NOT_YET
        self.context = self._context()
        # Each of the three may need the ones before it.
        host = clock or self.choose(Clock, AMBIENT, "ambient.clock")
        self.clock = self.context.clock = SteadyClock(host)
        self.random = self.context.random = self.choose(Random, AMBIENT, "ambient.random")
        self.ids = self.context.ids = self.choose(Ids, AMBIENT, "ambient.ids")

    def choose(self, port: type[P], name: str, key: str) -> P:
        """The adapter that the setting ``key`` names for ``port``, not yet opened.

        :raises UnknownProvider: nobody offers it.
        :raises SettingsInvalid: its section is wrong.
        :raises MissingDependency: its SDK is not installed.
        """
        offer = self._offer(port, name, key)
        if (port, name) not in self._built:
            self._built[port, name] = self._build(offer, self.context)
        self.bindings[f"{offer.adapter.room}.{port.__name__}"] = f"{name} ({offer.distribution} {offer.version})"
        adapter: P = self._built[port, name]
        return adapter

    def beside(self, port: type[P], name: str) -> P | None:
        """The adapter of this name over what the chosen ones share, not yet opened; ``None`` when nobody offers it.

        It serves next to the chosen one, which alone is told of as what stands behind the port.
        """
        found = [offer for offer in self._plugins.registry.offers(port) if offer.adapter.name == name]
        if not found:
            return None
        if (port, name) not in self._built:
            self._built[port, name] = self._build(found[0], self.context)
        adapter: P = self._built[port, name]
        return adapter

    def own(self, port: type[P], name: str) -> P:
        """Another instance that shares nothing with the chosen one, such as a first-level cache."""
        adapter: P = self._build(self._offer(port, name, port.__name__), self._context())
        return adapter

    def capabilities(self, port: type[Any], name: str) -> frozenset[Capability]:
        """What the adapter declares."""
        return self._offer(port, name, port.__name__).adapter.capabilities

    def joins(self, port: type[Any], name: str, transactions: str) -> bool:
        """Whether the adapter's writes join the transactions of the provider ``transactions``."""
        return name == transactions and Capability.TRANSACTIONAL in self.capabilities(port, name)

    async def open(self, stack: AsyncExitStack) -> None:
        """Open everything that was built, in that order; ``stack`` closes it in reverse."""
        for part, owner in self._to_open:
            if hasattr(part, "__aenter__"):
                self._working.append(owner)  # it may share something even now
                await stack.enter_async_context(opened(part, owner))
                self._working.pop()

    def _context(self) -> AdapterContext:
        return AdapterContext(clock=self.clock, random=self.random, ids=self.ids, opened=self._opened)

    def _opened(self, part: object) -> None:
        self._to_open.append((part, self._working[-1]))

    def _offer(self, port: type[Any], name: str, key: str) -> Offer:
        return self._plugins.registry.choose(port, name, key=key)

    def _build(self, offer: Offer, context: AdapterContext) -> Any:
        self._working.append(offer.owner)
        try:
            built = build(offer, adapter_settings(self._settings, offer.adapter), context)
            self._opened(built)
        finally:
            self._working.pop()
        return built
