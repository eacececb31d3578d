"""What a plugin says of an adapter, and what the adapter's factory is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Literal, TypeVar

import msgspec

from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.audit.chain import AuditChain
from tradesense.core.capabilities import Capability
from tradesense.core.errors import ConfigurationError
from tradesense.core.secrets.envelope import Sealer
from tradesense.core.telemetry.ports import HealthCheck, Telemetry

PORT_API = 1
"""The version of the ports that this release speaks. It grows when a port changes incompatibly."""

T = TypeVar("T")


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of an adapter that has none."""


class Requirement(msgspec.Struct, frozen=True):
    """A distribution that an adapter needs."""

    module: str
    """What is imported, as in ``redis``."""
    distribution: str
    """What is installed, as in ``redis``."""
    extra: str = ""
    """The extra of ``package`` that brings it; empty when it is installed by its own name."""
    package: str = "tradesense"
    """The distribution that has the extra: a third party names its own."""


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """One implementation of one port, described without importing it."""

    port: type[Any]
    """The Protocol, as in ``SecretStore``; its package names the room."""
    name: str
    """What settings choose it by; unique per port."""
    factory: str
    """``package.module:callable``, imported when chosen. It is called, synchronously, with an instance of
    ``settings`` and an :class:`AdapterContext`, and returns the adapter, not yet opened."""
    summary: str
    """One line for `tradesense plugins list`."""
    settings: type[msgspec.Struct] = NoSettings
    section: str = ""
    """Where its settings stand; ``ROOM.NAME`` when left empty."""
    capabilities: frozenset[Capability] = frozenset()
    requires: tuple[Requirement, ...] = ()
    stability: Literal["alpha", "beta", "stable"] = "alpha"
    api: tuple[int, int] = (PORT_API, PORT_API)
    """The lowest and the highest :data:`PORT_API` that it was written for."""

    @property
    def room(self) -> str:
        """The room of its port, as in ``secrets``."""
        return self.port.__module__.split(".")[2]

    @property
    def settings_section(self) -> str:
        """The dotted place of its settings."""
        return self.section or f"{self.room}.{self.name}"


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who takes new settings while it runs."""

    section: str
    """The dotted place of the settings."""
    settings: type[msgspec.Struct]
    renew: Callable[[Any], Awaitable[None]]
    """Called with an instance of ``settings`` when a secret that they refer to has changed."""


class AdapterContext:
    """What the platform lends to every factory. Parts that are not there yet raise when they are asked for."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        ids: Ids,
        opened: Callable[[object], None] = lambda _: None,
        chain: AuditChain | None = None,
        sealer: Sealer | Callable[[], Sealer] | None = None,
    ) -> None:
        self.clock = clock
        self.random = random
        self.ids = ids
        self._opened = opened
        self._chain = chain
        self._sealer = sealer
        self.telemetry: Telemetry | None = None
        """Where an adapter may measure itself. It is built after the adapters: ask for it when you are opened, bind
        instruments then, and go on without it where there is none."""
        self._shared: dict[Hashable, Any] = {}
        self.renewals: list[Renewal] = []
        """Who is told when a secret changes that its settings refer to."""
        self.checks: list[HealthCheck] = []
        """What the adapters asked to be watched, in the order in which they were built."""

    @property
    def chain(self) -> AuditChain:
        """The audit chain, for logs."""
        if self._chain is None:
            raise ConfigurationError("the audit chain is not built yet")
        return self._chain

    @chain.setter
    def chain(self, chain: AuditChain) -> None:
        self._chain = chain

    @property
    def sealer(self) -> Sealer:
        """Envelope encryption, for stores that keep secrets themselves."""
        if self._sealer is None:
            raise ConfigurationError("envelope encryption is not built yet")
        if callable(self._sealer):
            self._sealer = self._sealer()  # built for the first who needs it, so that nobody else needs its key
        return self._sealer

    @sealer.setter
    def sealer(self, sealer: Sealer | Callable[[], Sealer]) -> None:
        self._sealer = sealer

    def watch(self, check: HealthCheck) -> None:
        """Let `/health` ask this check from now on."""
        self.checks.append(check)

    def share(self, key: Hashable, make: Callable[[], T]) -> T:
        """One object for all adapters of a provider, such as its connection pool.

        It is made by the first who asks, opened before and closed after everyone who uses it, if it is an
        asynchronous context manager.
        """
        if key not in self._shared:
            self._shared[key] = made = make()
            self._opened(made)
        shared: T = self._shared[key]
        return shared
