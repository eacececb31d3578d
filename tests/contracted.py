"""How the contract tests build an adapter: by its manifest and its factory, as the platform does."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import import_module

from tradesense.adapters.system.ambient import SystemClock, SystemRandom, Uuid7Ids
from tradesense.plugins.manifest import Adapter, AdapterContext


def manifest(provider: str, port: type, name: str = "") -> Adapter:
    """What the provider says of its adapter of ``port``; ``name`` where it has several."""
    offered = import_module(f"tradesense.adapters.{provider}").tradesense_adapters()
    (found,) = [adapter for adapter in offered if adapter.port is port and name in {"", adapter.name}]
    return found


class Ahead(SystemClock):
    """The clock of a machine that is so many seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._by = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._by


def context(clock=None) -> AdapterContext:
    """What the factories of one platform are given. Adapters of one context are over one backend."""
    clock = clock or SystemClock()
    return AdapterContext(clock=clock, random=SystemRandom(), ids=Uuid7Ids(clock, SystemRandom()))


def build(adapter: Adapter, lent: AdapterContext, **settings):
    """The adapter, unopened."""
    module, _, factory = adapter.factory.partition(":")
    return getattr(import_module(module), factory)(adapter.settings(**settings), lent)
