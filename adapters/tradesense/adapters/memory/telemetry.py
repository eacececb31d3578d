"""Telemetry in memory, to be looked at by tests."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from traceback import format_exception_only

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.core.ambient import Clock
from tradesense.core.telemetry.models import Alert, Instrument, Kind, TraceContext
from tradesense.core.telemetry.ports import AlertNotifier, AttributeValue, ErrorReporter, Record, Span, Telemetry
from tradesense.plugins.manifest import AdapterContext, NoSettings

KEPT = 1000
MAX_SERIES = 1000
"""Label combinations of one instrument; further ones are counted together."""
OVERFLOW = "otel.metric.overflow"
"""The label value of what is counted together (OpenTelemetry, metrics SDK, cardinality limits)."""


@dataclass(slots=True)
class Series:
    """What one instrument recorded under one combination of labels."""

    instrument: Instrument
    labels: tuple[str, ...]
    value: float = 0.0
    """A counter's sum, a gauge's last value, a histogram's sum."""
    count: int = 0
    """How many values were recorded."""
    buckets: list[int] = field(default_factory=list[int])
    """A histogram's counts, not cumulative; the last one is beyond every bound."""

    def record(self, value: float) -> None:
        """Record one value."""
        self.value = value if self.instrument.kind is Kind.GAUGE else self.value + value
        self.count += 1
        if self.instrument.kind is Kind.HISTOGRAM:
            self.buckets[bisect_left(self.instrument.buckets, value)] += 1


@dataclass(slots=True)
class RecordedSpan:
    """A span, kept when it ends."""

    name: str
    context: TraceContext
    parent: TraceContext | None
    attributes: dict[str, AttributeValue]
    error: str = ""
    """The class of the exception that left it."""
    seconds: float = 0.0

    def set(self, key: str, value: AttributeValue) -> None:
        """See :meth:`Span.set`."""
        self.attributes[key] = value


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event."""

    name: str
    attributes: dict[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class RecordedError:
    """An error that was reported. The exception itself is not kept: its frames hold what must not live on."""

    error: str
    text: str
    context: dict[str, str]


class MemoryTelemetry:
    """Keeps every series, and the last 1000 spans and events. See :class:`Telemetry`."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._series: dict[str, dict[tuple[str, ...], Series]] = {}
        self.spans: deque[RecordedSpan] = deque(maxlen=KEPT)
        self.events: deque[RecordedEvent] = deque(maxlen=KEPT)

    def bind(self, instrument: Instrument, labels: tuple[str, ...] = ()) -> Record:
        """See :meth:`Telemetry.bind`."""
        return self.series(instrument, labels).record

    def series(self, instrument: Instrument, labels: tuple[str, ...] = ()) -> Series:
        """What was recorded under these labels; nothing yet for new ones."""
        of = self._series.setdefault(instrument.name, {})
        if labels not in of and len(of) >= MAX_SERIES:
            labels = (OVERFLOW,) * len(instrument.labels)
        if labels not in of:
            of[labels] = Series(instrument, labels, buckets=[0] * (len(instrument.buckets) + 1))
        return of[labels]

    def span(
        self,
        name: str,
        context: TraceContext,
        *,
        parent: TraceContext | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> AbstractContextManager[Span]:
        """See :meth:`Telemetry.span`."""
        return self._span(RecordedSpan(name, context, parent, dict(attributes or {})))

    @contextmanager
    def _span(self, span: RecordedSpan) -> Generator[Span]:
        began = self._clock.monotonic()
        try:
            yield span
        except BaseException as error:
            span.error = type(error).__name__
            raise
        finally:
            span.seconds = self._clock.monotonic() - began
            self.spans.append(span)

    def event(self, name: str, attributes: Mapping[str, AttributeValue]) -> None:
        """See :meth:`Telemetry.event`."""
        self.events.append(RecordedEvent(name, dict(attributes)))


class MemoryErrorReporter:
    """Keeps the last 1000 errors. See :class:`ErrorReporter`."""

    def __init__(self) -> None:
        self.reported: deque[RecordedError] = deque(maxlen=KEPT)

    async def report(self, error: BaseException, context: Mapping[str, str]) -> None:
        """See :meth:`ErrorReporter.report`."""
        text = "".join(format_exception_only(error)).strip()  # unlike str(), it never raises
        self.reported.append(RecordedError(type(error).__name__, text, dict(context)))


class MemoryAlertNotifier(Lifecycle):
    """Keeps the last 1000 alerts. See :class:`AlertNotifier`."""

    def __init__(self) -> None:
        super().__init__()
        self.notified: deque[Alert] = deque(maxlen=KEPT)

    async def notify(self, alert: Alert) -> None:
        """See :meth:`AlertNotifier.notify`."""
        self.check_open()
        self.notified.append(alert)


def telemetry(_: NoSettings, context: AdapterContext) -> MemoryTelemetry:
    """The factory of the telemetry."""
    return MemoryTelemetry(clock=context.clock)


def errors(_: NoSettings, context: AdapterContext) -> MemoryErrorReporter:  # noqa: ARG001  # every factory takes both
    """The factory of the error reporter."""
    return MemoryErrorReporter()


def alerts(_: NoSettings, context: AdapterContext) -> MemoryAlertNotifier:  # noqa: ARG001  # every factory takes both
    """The factory of the notifier."""
    return MemoryAlertNotifier()


_: type[Telemetry] = MemoryTelemetry
_errors: type[ErrorReporter] = MemoryErrorReporter
_alerts: type[AlertNotifier] = MemoryAlertNotifier
