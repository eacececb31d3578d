"""Choosing adapters by settings, building them, and opening them in the order of their needs."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, TypeVar

from tradesense.adapters.system.ambient import SystemClock, SystemRandom, Uuid7Ids
from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.capabilities import Capability
from tradesense.plugins.manager import Plugins
from tradesense.plugins.manifest import AdapterContext
from tradesense.plugins.registry import Offer, build
from tradesense.settings.schema import Settings
from tradesense.settings.sections import adapter_settings

P = TypeVar("P")


class Adapters:
    """The adapters of one container. Asking for the same twice gives the same object."""

    def __init__(self, settings: Settings, plugins: Plugins, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._plugins = plugins
        self._built: dict[tuple[type[Any], str], Any] = {}
        self._to_open: list[object] = []
        self.clock: Clock = clock or SystemClock()
        self.random: Random = SystemRandom()
        self.ids: Ids = Uuid7Ids(self.clock, self.random)
        self.context = self._context()
        self.bindings: dict[str, str] = {}

    def choose(self, port: type[P], name: str, key: str) -> P:
        """The adapter that the setting ``key`` names for ``port``, not yet opened.

        :raises UnknownProvider: nobody offers it.
        :raises SettingsInvalid: its section is wrong.
        :raises MissingDependency: its SDK is not installed.
        """
        if (port, name) not in self._built:
            offer = self._offer(port, name, key)
            self._built[port, name] = self._build(offer, self.context)
            label = f"{offer.adapter.room}.{port.__name__}"
            self.bindings[label] = f"{name} ({offer.distribution} {offer.version})"
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
        for part in self._to_open:
            enter = getattr(part, "__aenter__", None)
            if enter is not None:
                await stack.enter_async_context(part)  # type: ignore[arg-type]  # it has been seen to be one

    def _context(self) -> AdapterContext:
        return AdapterContext(clock=self.clock, random=self.random, ids=self.ids, opened=self._to_open.append)

    def _offer(self, port: type[Any], name: str, key: str) -> Offer:
        return self._plugins.registry.choose(port, name, key=key)

    def _build(self, offer: Offer, context: AdapterContext) -> Any:
        built = build(offer, adapter_settings(self._settings, offer.adapter), context)
        self._to_open.append(built)
        return built
