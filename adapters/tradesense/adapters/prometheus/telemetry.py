"""``Telemetry`` over prometheus-client, in a registry of its own."""

from __future__ import annotations

import logging
import os
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import (
    MultiProcessCollector,
    mark_process_dead,  # pyright: ignore[reportUnknownVariableType]  # the library has no types here
)

from tradesense.adapters.prometheus.settings import PrometheusSettings
from tradesense.core.errors import ConfigurationError
from tradesense.core.telemetry.models import Instrument, Kind, TraceContext
from tradesense.core.telemetry.ports import AttributeValue, Record, Scrapable, Span, Telemetry
from tradesense.plugins.manifest import AdapterContext

_log = logging.getLogger(__name__)

UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": "ratio", "%": "percent"}
"""UCUM to the words that Prometheus' naming conventions ask for."""

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus-client takes the shared folder from here and from nowhere else."""

Metric = Counter | Gauge | Histogram


def metric_name(instrument: Instrument) -> str:
    """The instrument's name as Prometheus spells it, as in ``http_server_request_duration_seconds``."""
    name = instrument.name.replace(".", "_").replace("-", "_")
    unit = UNITS.get(instrument.unit, instrument.unit)
    return f"{name}_{unit}" if unit and not name.endswith(f"_{unit}") else name


class _NoSpan:
    """Prometheus has no spans."""

    def set(self, key: str, value: AttributeValue) -> None:
        """Nothing is kept."""


class PrometheusTelemetry:
    """Counts in memory, or, with a shared folder, in files that the scrape of any process adds up.

    The folder is a property of the whole Python process, as prometheus-client keeps it in one place for all metrics.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        self._folder = settings.multiprocess_dir
        self._lock = Lock()
        self._registry = CollectorRegistry()
        self._metrics: dict[str, Metric] = {}
        self._instruments: dict[str, Instrument] = {}
        self._records: dict[tuple[str, tuple[str, ...]], Record] = {}
        self._span = nullcontext(_NoSpan())
        self._before: tuple[Any, str | None] | None = None

    async def __aenter__(self) -> Self:
        if self._folder:
            self._share(Path(self._folder))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._before is None:
            return
        mark_process_dead(os.getpid(), self._folder)  # type: ignore[no-untyped-call]  # the library has no types here
        values.ValueClass, variable = self._before
        self._before = None
        if variable is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = variable

    def bind(self, instrument: Instrument, labels: tuple[str, ...] = ()) -> Record:
        """See :meth:`Telemetry.bind`. Too few or too many labels are filled up or cut, as nothing here may raise.

        What is recorded by an instrument that has the name of another one, and not its kind and labels, is dropped.
        """
        key = (instrument.name, labels)
        record = self._records.get(key)
        if record is None:
            with self._lock:
                record = self._records.get(key) or self._bound(instrument, labels)
                self._records[key] = record
        return record

    def span(
        self,
        name: str,  # noqa: ARG002  # Prometheus has no spans
        context: TraceContext,  # noqa: ARG002  # the same
        *,
        parent: TraceContext | None = None,  # noqa: ARG002  # the same
        attributes: Mapping[str, AttributeValue] | None = None,  # noqa: ARG002  # the same
    ) -> AbstractContextManager[Span]:
        """Nothing is recorded."""
        return self._span

    def event(self, name: str, attributes: Mapping[str, AttributeValue]) -> None:
        """Nothing is recorded: an event is no number."""

    def scrape(self) -> tuple[str, bytes]:
        """See :meth:`Scrapable.scrape`."""
        if not self._folder:
            return CONTENT_TYPE_LATEST, generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, self._folder)  # type: ignore[no-untyped-call]  # the library has no types here
        return CONTENT_TYPE_LATEST, generate_latest(registry)

    def _share(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"the folder {folder} cannot be made: {error.strerror}",
                origin="telemetry.prometheus.multiprocess_dir",
                mend="name a folder that the server may write",
            ) from error
        self._before = (values.ValueClass, os.environ.get(VARIABLE))
        os.environ[VARIABLE] = str(folder)
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]  # the library has no types here

    def _bound(self, instrument: Instrument, labels: tuple[str, ...]) -> Record:
        name = metric_name(instrument)
        first = self._instruments.setdefault(name, instrument)
        if (first.kind, first.labels) != (instrument.kind, instrument.labels):
            _log.warning("the instrument %r clashes with another one and is not recorded", instrument.name)
            return _drop
        metric = self._metrics.get(name)
        if metric is None:
            metric = self._metrics[name] = self._declared(instrument)
        width = len(instrument.labels)
        given = tuple(_encodable(label) for label in (*labels, *[""] * width)[:width])
        child: Any = metric.labels(*given) if width else metric
        match instrument.kind:
            case Kind.COUNTER:
                return _counting(child)
            case Kind.GAUGE:
                return child._value.set  # type: ignore[no-any-return]  # noqa: SLF001  # what set() does, without its checks
            case Kind.HISTOGRAM:
                return _observing(child)

    def _declared(self, instrument: Instrument) -> Metric:
        name, text, labels = metric_name(instrument), instrument.description, instrument.labels
        match instrument.kind:
            case Kind.COUNTER:
                return Counter(name, text, labels, registry=self._registry)
            case Kind.GAUGE:
                return Gauge(name, text, labels, registry=self._registry, multiprocess_mode="livesum")
            case Kind.HISTOGRAM:
                buckets = instrument.buckets or Histogram.DEFAULT_BUCKETS
                return Histogram(name, text, labels, registry=self._registry, buckets=buckets)


def _drop(_: float) -> None:
    """Record nothing."""


def _encodable(label: str) -> str:
    """``label`` with whatever UTF-8 does not encode replaced: it would spoil the whole exposition."""
    return label if label.isascii() else label.encode("utf-8", "replace").decode()


def _counting(counter: Counter) -> Record:
    """A counter never falls, so a negative value is dropped instead of raised about."""

    def record(value: float) -> None:
        if value >= 0:
            counter.inc(value)

    return record


def _observing(histogram: Any) -> Record:
    """``histogram.observe`` with the bucket found by bisection: every request costs one of these."""
    bounds: tuple[float, ...] = tuple(histogram._upper_bounds)  # noqa: SLF001  # what observe() reads
    total: Record = histogram._sum.inc  # noqa: SLF001  # the same
    buckets: tuple[Record, ...] = tuple(bucket.inc for bucket in histogram._buckets)  # noqa: SLF001  # the same
    last = len(bounds) - 1

    def record(value: float) -> None:
        total(value)
        buckets[min(bisect_left(bounds, value), last)](1)

    return record


def telemetry(settings: PrometheusSettings, context: AdapterContext) -> PrometheusTelemetry:  # noqa: ARG001  # a factory's signature
    """The factory that the manifest names."""
    return PrometheusTelemetry(settings)


_: type[Telemetry] = PrometheusTelemetry
__: type[Scrapable] = PrometheusTelemetry
