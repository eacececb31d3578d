"""What the platform says of itself. Nothing here may raise, block or slow the caller down noticeably."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from tradesense.core.telemetry.models import Alert, Health, Instrument, TraceContext

Record = Callable[[float], None]
AttributeValue = str | int | float | bool


class Span(Protocol):
    """A span that is open."""

    def set(self, key: str, value: AttributeValue) -> None:
        """Add or replace an attribute."""
        ...


class Telemetry(Protocol):
    """Counters, gauges, histograms, spans and events. Its methods are synchronous and never raise."""

    def bind(self, instrument: Instrument, labels: tuple[str, ...] = ()) -> Record:
        """The function that records one value: adds to a counter, sets a gauge, observes in a histogram.

        ``labels`` are the values for ``instrument.labels``, in their order. Callers on a hot path bind once and keep
        the function. Binding the same again gives one and the same series.
        """
        ...

    def span(
        self,
        name: str,
        context: TraceContext,
        *,
        parent: TraceContext | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> AbstractContextManager[Span]:
        """Open a span that is named by ``context``. An exception that leaves it marks it failed and goes on."""
        ...

    def event(self, name: str, attributes: Mapping[str, AttributeValue]) -> None:
        """Say that something happened, once."""
        ...


class Scrapable(Protocol):
    """``Capability.SCRAPE``: the metrics can be read as a text."""

    def scrape(self) -> tuple[str, bytes]:
        """Content type and body of the exposition, all series of all processes of this server included."""
        ...


class ErrorReporter(Protocol):
    """Tells a person or a service about an error that nobody handled."""

    async def report(self, error: BaseException, context: Mapping[str, str]) -> None:
        """Report ``error``. It never raises: an error about an error is logged and dropped.

        ``context`` holds names such as the correlation id and the route, and never a secret.
        """
        ...


class AlertNotifier(Protocol):
    """Brings an alert to a person."""

    async def notify(self, alert: Alert) -> None:
        """Deliver the alert.

        :raises MessengerUnavailable: it was not taken.
        :raises AdapterClosed: before opening and after closing.
        """
        ...


class HealthCheck(Protocol):
    """One thing that has to be well.

    Without what is ``essential`` the platform is down and is sent no requests; without anything else it is degraded.
    """

    name: str
    essential: bool

    async def check(self) -> Health:
        """Look now, within two seconds, and never raise: an error is ``DOWN``, with its class as the detail."""
        ...
