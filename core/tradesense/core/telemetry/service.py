"""Health over all checks, and telemetry over several adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import msgspec

from tradesense.core.telemetry.models import Health, Instrument, Status, TraceContext
from tradesense.core.telemetry.ports import AttributeValue, HealthCheck, Record, Span, Telemetry

CHECK_SECONDS = 2.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All checks together: down when something essential is, degraded when anything else is not well."""

    status: Status
    checks: tuple[Health, ...]
    meanings: tuple[Status, ...]
    """What the state of each check means for the whole, in their order: of what is not essential an outage degrades."""


class HealthService:
    """Asks every check at once."""

    def __init__(self, checks: Sequence[HealthCheck]) -> None:
        self._checks = tuple(checks)

    async def report(self) -> Report:
        """Ask all checks; one that does not answer in two seconds is down."""
        found = tuple(await asyncio.gather(*(self._ask(check) for check in self._checks)))
        meanings = tuple(map(_meaning, self._checks, found))
        worst = next((status for status in (Status.DOWN, Status.DEGRADED) if status in meanings), Status.UP)
        return Report(status=worst, checks=found, meanings=meanings)

    @staticmethod
    async def _ask(check: HealthCheck) -> Health:
        try:
            return await asyncio.wait_for(check.check(), CHECK_SECONDS)
        except TimeoutError:
            return Health(name=check.name, status=Status.DOWN, detail=f"no answer within {CHECK_SECONDS:g} s")
        except Exception as error:  # noqa: BLE001  # a check that breaks its promise must not hide what the others found
            return Health(name=check.name, status=Status.DOWN, detail=type(error).__name__)


def _meaning(check: HealthCheck, found: Health) -> Status:
    """What the state of one dependency means for the whole platform."""
    if found.status is Status.DOWN and not check.essential:
        return Status.DEGRADED
    return found.status


class _Spans:
    """Several spans seen as one."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans

    def set(self, key: str, value: AttributeValue) -> None:
        for span in self._spans:
            span.set(key, value)


class FanOut:
    """One telemetry made of several, each getting only what it declared that it records."""

    def __init__(self, *, metrics: Sequence[Telemetry], traces: Sequence[Telemetry]) -> None:
        self._metrics = tuple(metrics)
        self._traces = tuple(traces)
        self._all = tuple(dict.fromkeys((*self._metrics, *self._traces)))

    def bind(self, instrument: Instrument, labels: tuple[str, ...] = ()) -> Record:
        """See :meth:`Telemetry.bind`; with one adapter the function is that adapter's own."""
        records = [telemetry.bind(instrument, labels) for telemetry in self._metrics]
        if len(records) == 1:
            return records[0]

        def record(value: float) -> None:
            for one in records:
                one(value)

        return record

    @property
    def traced(self) -> bool:
        """Whether anyone records spans; if not, nobody needs to open any."""
        return bool(self._traces)

    def span(
        self,
        name: str,
        context: TraceContext,
        *,
        parent: TraceContext | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> AbstractContextManager[Span]:
        """See :meth:`Telemetry.span`; with one adapter the span is that adapter's own."""
        if len(self._traces) == 1:
            return self._traces[0].span(name, context, parent=parent, attributes=attributes)
        return self._span(name, context, parent, attributes)

    @contextmanager
    def _span(
        self,
        name: str,
        context: TraceContext,
        parent: TraceContext | None,
        attributes: Mapping[str, AttributeValue] | None,
    ) -> Generator[Span]:
        with ExitStack() as stack:
            yield _Spans(
                [
                    stack.enter_context(telemetry.span(name, context, parent=parent, attributes=attributes))
                    for telemetry in self._traces
                ]
            )

    def event(self, name: str, attributes: Mapping[str, AttributeValue]) -> None:
        """See :meth:`Telemetry.event`."""
        for telemetry in self._all:
            telemetry.event(name, attributes)


_: type[Telemetry] = FanOut
