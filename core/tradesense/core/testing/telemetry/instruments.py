"""The contract of ``Telemetry``."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.telemetry.models import Instrument, Kind, TraceContext
from tradesense.core.telemetry.ports import Scrapable, Telemetry
from tradesense.core.testing.base import Contract, Make, opened, requires
from tradesense.core.testing.checks import arrives
from tradesense.core.testing.telemetry.readings import EndedSpan, Reading, read_exposition, readings

HOSTILE = (
    "",
    " ",
    '"',
    "\\",
    "\\n",
    "\n",
    'x"} 1\nfake_total{who="y',
    "# HELP fake\n# EOF\n",
    "{}",
    "a,b=c",
    "Zürich ☃ 漢字 𝄞 e\u0301 \u2028 \x85",
    "\r\t\x00\x1b[31m",
    "x" * 10_000,
)
"""Label values that break a text in which they are not escaped."""
LONE_SURROGATE = "\ud800"
"""No UTF-8 encodes it."""

ReadMetric = Callable[[Any, Instrument, tuple[str, ...]], Awaitable[Sequence[Reading]]]
"""For an opened telemetry, an instrument and the values of its labels: the series that there are of it now."""
ReadSpans = Callable[[Any], Awaitable[Sequence[EndedSpan]]]
"""For an opened telemetry: the spans that it has recorded up to now."""


class _Scraped(Telemetry, Scrapable, Protocol):
    """What the tests of the exposition need."""


def _instrument(kind: Kind, *labels: str) -> Instrument:
    return Instrument(
        name=f"tradesense.test.n{secrets.token_hex(6)}",
        kind=kind,
        description='A test. \\ " \n It has two lines.',
        unit="s" if kind is Kind.HISTOGRAM else "",
        labels=labels,
        buckets=(0.1, 1.0, 10.0) if kind is Kind.HISTOGRAM else (),
    )


def _context(trace_id: str = "") -> TraceContext:
    return TraceContext(trace_id or secrets.token_hex(16), secrets.token_hex(8), sampled=True)


class TelemetryContract(Contract):
    """What every :class:`Telemetry` must do.

    With ``Capability.METRICS`` and without ``SCRAPE``, override ``metrics``; with ``Capability.TRACES``, ``spans``.
    """

    port = Telemetry
    extensions = {Capability.SCRAPE: Scrapable}  # noqa: RUF012  # the base declares it as a ClassVar

    @pytest.fixture
    def metrics(self) -> ReadMetric:
        """How to read a series back; from the exposition where there is one. It is asked until the answer is right."""
        if Capability.SCRAPE in self.capabilities:
            return _from_exposition
        pytest.fail(f"{type(self).__name__} cannot be scraped and must override the fixture `metrics`", pytrace=False)

    @pytest.fixture
    def spans(self) -> ReadSpans:
        """How to read spans back. It is asked until the answer is right."""
        pytest.fail(f"{type(self).__name__} declares TRACES and must override the fixture `spans`", pytrace=False)

    async def test_nothing_raises_whatever_is_recorded(self, adapter: Make[Telemetry]) -> None:
        async with opened(adapter()) as telemetry:
            for kind in Kind:
                one = _instrument(kind, "who", "what")
                for labels in (("a", "b"), (), ("a",), ("a", "b", "c"), *((value, value) for value in HOSTILE)):
                    record = telemetry.bind(one, labels)
                    for value in (0, 1, -1, 0.5, 1e308, float("inf"), float("-inf"), float("nan"), 2**70):
                        record(value)

    async def test_nothing_raises_when_instruments_clash(self, adapter: Make[Telemetry]) -> None:
        async with opened(adapter()) as telemetry:
            first = _instrument(Kind.COUNTER, "who")
            telemetry.bind(first, ("me",))(1)
            for kind in Kind:
                for name in (first.name, first.name.replace(".", "_")):
                    for labels in ((), ("who",), ("what", "when")):
                        clashing = Instrument(name=name, kind=kind, description="Another.", labels=labels)
                        telemetry.bind(clashing, labels)(1)
            telemetry.bind(first, ("me",))(1)

    async def test_nothing_raises_while_it_is_closed(self, adapter: Make[Telemetry]) -> None:
        telemetry = adapter()
        self._use(telemetry)
        async with opened(telemetry):
            self._use(telemetry)
        self._use(telemetry)

    async def test_an_exception_leaves_a_span_as_it_is(self, adapter: Make[Telemetry]) -> None:
        async with opened(adapter()) as telemetry:
            for error in (LookupError("lost"), asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(1)):
                caught: BaseException | None = None
                try:
                    with telemetry.span("failing", _context()):
                        raise error  # noqa: TRY301  # what leaves the span is the test
                except BaseException as left:  # noqa: BLE001  # whatever it is
                    caught = left
                assert caught is error, "the span swallowed or replaced the exception"

    async def test_a_span_takes_any_attribute(self, adapter: Make[Telemetry]) -> None:
        async with opened(adapter()) as telemetry:
            odd: Any
            with telemetry.span("odd", _context(), parent=_context(), attributes={"": "", "a": 1.5, "b": True}) as span:
                for odd in (
                    "",
                    "x" * 100_000,
                    "\x00",
                    LONE_SURROGATE,
                    2**70,
                    float("nan"),
                    False,
                    None,
                    object(),
                    b"x",
                ):
                    span.set("odd", odd)
            span.set("late", 1)

    async def test_an_event_never_raises(self, adapter: Make[Telemetry]) -> None:
        async with opened(adapter()) as telemetry:
            odd: Any
            for odd in ("", "\n", LONE_SURROGATE, 2**70, float("nan"), True, None, object()):
                telemetry.event("odd", {"odd": odd})
                with telemetry.span("around", _context()):
                    telemetry.event("", {"odd": odd, "": 1})

    @requires(Capability.METRICS)
    async def test_a_counter_adds(self, adapter: Make[Telemetry], metrics: ReadMetric) -> None:
        async with opened(adapter()) as telemetry:
            counter = _instrument(Kind.COUNTER, "who")
            record = telemetry.bind(counter, ("me",))
            for value in (1, 2, 0.5, 0):
                record(value)
            await self._reads(metrics, telemetry, counter, ("me",), Reading(3.5))

    @requires(Capability.METRICS)
    async def test_a_gauge_sets(self, adapter: Make[Telemetry], metrics: ReadMetric) -> None:
        async with opened(adapter()) as telemetry:
            gauge = _instrument(Kind.GAUGE, "who")
            record = telemetry.bind(gauge, ("me",))
            for value in (7, -3, 2.25):
                record(value)
                await self._reads(metrics, telemetry, gauge, ("me",), Reading(value))

    @requires(Capability.METRICS)
    async def test_a_histogram_observes(self, adapter: Make[Telemetry], metrics: ReadMetric) -> None:
        async with opened(adapter()) as telemetry:
            histogram = _instrument(Kind.HISTOGRAM, "who")
            record = telemetry.bind(histogram, ("me",))
            for value in (0.25, 0.5, 100, 0):
                record(value)
            await self._reads(metrics, telemetry, histogram, ("me",), Reading(100.75, 4))

    @requires(Capability.METRICS)
    async def test_an_instrument_may_have_no_labels(self, adapter: Make[Telemetry], metrics: ReadMetric) -> None:
        async with opened(adapter()) as telemetry:
            counter = _instrument(Kind.COUNTER)
            telemetry.bind(counter)(1)
            telemetry.bind(counter, ())(1)
            await self._reads(metrics, telemetry, counter, (), Reading(2))

    @requires(Capability.METRICS)
    @pytest.mark.parametrize("kind", list(Kind))
    async def test_the_same_labels_are_one_series(
        self, adapter: Make[Telemetry], metrics: ReadMetric, kind: Kind
    ) -> None:
        async with opened(adapter()) as telemetry:
            instrument = _instrument(kind, "who", "what")
            first, second = (telemetry.bind(instrument, ("me", "this")) for _ in range(2))
            first(1)
            second(2)
            first(4)
            expected = {Kind.COUNTER: Reading(7), Kind.GAUGE: Reading(4), Kind.HISTOGRAM: Reading(7, 3)}[kind]
            await self._reads(metrics, telemetry, instrument, ("me", "this"), expected)

    @requires(Capability.METRICS)
    async def test_other_labels_are_other_series(self, adapter: Make[Telemetry], metrics: ReadMetric) -> None:
        async with opened(adapter()) as telemetry:
            counter = _instrument(Kind.COUNTER, "who", "what")
            combinations = [("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"), ("A", "b")]
            for number, labels in enumerate(combinations):
                telemetry.bind(counter, labels)(number + 1)
            for number, labels in enumerate(combinations):
                await self._reads(metrics, telemetry, counter, labels, Reading(number + 1))

    @requires(Capability.METRICS)
    async def test_hostile_label_values_are_values(self, adapter: Make[Telemetry], metrics: ReadMetric) -> None:
        async with opened(adapter()) as telemetry:
            counter = _instrument(Kind.COUNTER, "who")
            for number, value in enumerate(HOSTILE):
                telemetry.bind(counter, (value,))(number + 1)
            for number, value in enumerate(HOSTILE):
                await self._reads(metrics, telemetry, counter, (value,), Reading(number + 1))

    @requires(Capability.METRICS)
    async def test_what_cannot_be_encoded_spoils_nothing_else(
        self, adapter: Make[Telemetry], metrics: ReadMetric
    ) -> None:
        async with opened(adapter()) as telemetry:
            counter = _instrument(Kind.COUNTER, "who")
            telemetry.bind(counter, (LONE_SURROGATE,))(1)
            telemetry.bind(counter, ("me",))(2)
            await self._reads(metrics, telemetry, counter, ("me",), Reading(2))

    @requires(Capability.METRICS, Capability.SCRAPE)
    async def test_the_exposition_is_well_formed(self, adapter: Make[_Scraped]) -> None:
        async with opened(adapter()) as telemetry:
            histogram = _instrument(Kind.HISTOGRAM, "who")
            for number, value in enumerate(HOSTILE):
                telemetry.bind(histogram, (value,))(number)
            kind, body = telemetry.scrape()
            assert kind.partition(";")[0] in {"text/plain", "application/openmetrics-text"}
            samples = [sample for sample in read_exposition(body) if sample.labels.get("who") == HOSTILE[2]]
            buckets = {sample.labels["le"]: sample.value for sample in samples if "le" in sample.labels}
            assert [float(bound) for bound in buckets] == [0.1, 1.0, 10.0, float("inf")]
            assert list(buckets.values()) == [0, 0, 1, 1]

    @requires(Capability.TRACES)
    async def test_a_span_is_recorded_as_it_was_named(self, adapter: Make[Telemetry], spans: ReadSpans) -> None:
        async with opened(adapter()) as telemetry:
            parent = _context()
            context = _context(parent.trace_id)
            with telemetry.span("work é", context, parent=parent, attributes={"a": 1, "b": "x", "c": True}) as span:
                span.set("b", "y")
                span.set("d", 2.5)
            await self._ended(
                spans,
                telemetry,
                EndedSpan(
                    name="work é",
                    trace_id=context.trace_id,
                    span_id=context.span_id,
                    parent_id=parent.span_id,
                    attributes={"a": 1, "b": "y", "c": True, "d": 2.5},
                ),
            )

    @requires(Capability.TRACES)
    async def test_an_exception_marks_its_span_and_no_other(self, adapter: Make[Telemetry], spans: ReadSpans) -> None:
        async with opened(adapter()) as telemetry:
            outer = _context()
            inner = _context(outer.trace_id)
            with (
                telemetry.span("outer", outer),
                pytest.raises(LookupError),
                telemetry.span("inner", inner, parent=outer),
            ):
                raise LookupError
            await self._ended(
                spans,
                telemetry,
                EndedSpan(
                    name="inner",
                    trace_id=inner.trace_id,
                    span_id=inner.span_id,
                    parent_id=outer.span_id,
                    failed=True,
                ),
                EndedSpan(name="outer", trace_id=outer.trace_id, span_id=outer.span_id),
            )

    @requires(Capability.TRACES)
    async def test_spans_of_many_tasks_are_kept_apart(self, adapter: Make[Telemetry], spans: ReadSpans) -> None:
        async with opened(adapter()) as telemetry:
            contexts = [_context() for _ in range(50)]

            async def work(number: int) -> None:
                with telemetry.span(f"{number}", contexts[number]) as span:
                    await asyncio.sleep(0)
                    span.set("number", number)

            await asyncio.gather(*(work(number) for number in range(50)))
            await self._ended(
                spans,
                telemetry,
                *(
                    EndedSpan(
                        name=f"{number}", trace_id=one.trace_id, span_id=one.span_id, attributes={"number": number}
                    )
                    for number, one in enumerate(contexts)
                ),
            )

    async def _reads(
        self,
        metrics: ReadMetric,
        telemetry: Telemetry,
        instrument: Instrument,
        labels: tuple[str, ...],
        expected: Reading,
    ) -> None:
        """The series reads ``expected``, now or soon, and is the only one."""
        what = f"{instrument.kind} {labels!r:.200}"
        await arrives(lambda: metrics(telemetry, instrument, labels), [expected], seconds=self.patience, what=what)

    async def _ended(self, spans: ReadSpans, telemetry: Telemetry, *expected: EndedSpan) -> None:
        """The spans of these traces are ``expected``, now or soon."""
        traces = {one.trace_id for one in expected}

        async def read() -> list[EndedSpan]:
            return [one for one in await spans(telemetry) if one.trace_id in traces]

        await arrives(read, expected, seconds=self.patience, what="spans")

    def _use(self, telemetry: Telemetry) -> None:
        for kind in Kind:
            telemetry.bind(_instrument(kind, "who"), ("me",))(1)
        with telemetry.span("span", _context(), attributes={"a": 1}) as span:
            span.set("b", 2)
            telemetry.event("event", {"a": 1})


async def _from_exposition(telemetry: Scrapable, instrument: Instrument, labels: tuple[str, ...]) -> Sequence[Reading]:
    return readings(read_exposition(telemetry.scrape()[1]), instrument, labels)
