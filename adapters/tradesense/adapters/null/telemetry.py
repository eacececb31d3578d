"""Telemetry for nobody."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Self

from tradesense.core.errors import AdapterClosed
from tradesense.core.telemetry.models import Alert, Health, Instrument, Status, TraceContext
from tradesense.core.telemetry.ports import (
    AlertNotifier,
    AttributeValue,
    ErrorReporter,
    HealthCheck,
    Record,
    Span,
    Telemetry,
)
from tradesense.plugins.manifest import AdapterContext, NoSettings


class _NullSpan:
    def set(self, key: str, value: AttributeValue) -> None:
        pass


_NO_SPAN: AbstractContextManager[Span] = nullcontext(_NullSpan())


def _drop(_: float) -> None:
    """Record nothing."""


class NullTelemetry:
    """Records nothing. See :class:`Telemetry`."""

    def bind(self, instrument: Instrument, labels: tuple[str, ...] = ()) -> Record:  # noqa: ARG002  # nothing is kept
        """See :meth:`Telemetry.bind`."""
        return _drop

    def span(
        self,
        name: str,  # noqa: ARG002  # nothing is kept
        context: TraceContext,  # noqa: ARG002  # nothing is kept
        *,
        parent: TraceContext | None = None,  # noqa: ARG002  # nothing is kept
        attributes: Mapping[str, AttributeValue] | None = None,  # noqa: ARG002  # nothing is kept
    ) -> AbstractContextManager[Span]:
        """See :meth:`Telemetry.span`."""
        return _NO_SPAN

    def event(self, name: str, attributes: Mapping[str, AttributeValue]) -> None:
        """See :meth:`Telemetry.event`."""


class NullErrorReporter:
    """Reports nothing. See :class:`ErrorReporter`."""

    async def report(self, error: BaseException, context: Mapping[str, str]) -> None:
        """See :meth:`ErrorReporter.report`."""


class NullAlertNotifier:
    """Brings alerts to nobody. See :class:`AlertNotifier`."""

    def __init__(self) -> None:
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False

    async def notify(self, alert: Alert) -> None:  # noqa: ARG002  # nothing is kept
        """See :meth:`AlertNotifier.notify`."""
        if not self._open:
            raise AdapterClosed("NullAlertNotifier is not open", mend="use it inside its `async with`")


class NullHealthCheck:
    """Is always well. See :class:`HealthCheck`."""

    def __init__(self) -> None:
        self.name = "null"
        self.essential = False

    async def check(self) -> Health:
        """See :meth:`HealthCheck.check`."""
        return Health(name=self.name, status=Status.UP)


def telemetry(_: NoSettings, context: AdapterContext) -> NullTelemetry:  # noqa: ARG001  # every factory takes both
    """The factory of the telemetry."""
    return NullTelemetry()


def errors(_: NoSettings, context: AdapterContext) -> NullErrorReporter:  # noqa: ARG001  # every factory takes both
    """The factory of the error reporter."""
    return NullErrorReporter()


def alerts(_: NoSettings, context: AdapterContext) -> NullAlertNotifier:  # noqa: ARG001  # every factory takes both
    """The factory of the notifier."""
    return NullAlertNotifier()


def check(_: NoSettings, context: AdapterContext) -> NullHealthCheck:  # noqa: ARG001  # every factory takes both
    """The factory of the check."""
    return NullHealthCheck()


_: type[Telemetry] = NullTelemetry
_errors: type[ErrorReporter] = NullErrorReporter
_alerts: type[AlertNotifier] = NullAlertNotifier
_check: type[HealthCheck] = NullHealthCheck
