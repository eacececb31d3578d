"""One telemetry made of several."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from tradesense.core.telemetry.models import Instrument, Kind, TraceContext
from tradesense.core.telemetry.service import FanOut

HITS = Instrument(name="test.hits", kind=Kind.COUNTER, description="Hits.", labels=("who",))
CONTEXT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True)


class Notebook:
    """A telemetry that keeps everything it is told."""

    def __init__(self):
        self.values = []
        self.spans = []
        self.events = []

    def bind(self, instrument, labels=()):
        return lambda value: self.values.append((instrument.name, labels, value))

    @contextmanager
    def span(self, name, context, *, parent=None, attributes=None):
        entry = {"name": name, "context": context, "parent": parent, "attributes": dict(attributes or {})}
        try:
            yield Attributes(entry["attributes"])
        except BaseException as error:
            entry["error"] = type(error)
            raise
        finally:
            self.spans.append(entry)

    def event(self, name, attributes):
        self.events.append((name, dict(attributes)))


class Attributes:
    def __init__(self, held):
        self._held = held

    def set(self, key, value):
        self._held[key] = value


def test_every_metrics_adapter_gets_every_value_and_no_other_does():
    one, two, traces = Notebook(), Notebook(), Notebook()
    record = FanOut(metrics=[one, two], traces=[traces]).bind(HITS, ("me",))
    record(1)
    record(2)
    assert one.values == two.values == [("test.hits", ("me",), 1), ("test.hits", ("me",), 2)]
    assert traces.values == []


def test_with_one_metrics_adapter_its_own_function_is_handed_out():
    class Bound(Notebook):
        def __init__(self):
            super().__init__()
            self.record = self.values.append

        def bind(self, *_):
            return self.record

    one = Bound()
    assert FanOut(metrics=[one], traces=[]).bind(HITS, ("me",)) is one.record


def test_with_nobody_a_record_goes_nowhere():
    FanOut(metrics=[], traces=[]).bind(HITS, ("me",))(1)


def test_every_trace_adapter_gets_every_span():
    one, two, metrics = Notebook(), Notebook(), Notebook()
    parent = TraceContext(CONTEXT.trace_id, "b7ad6b7169203331", sampled=True)
    with FanOut(metrics=[metrics], traces=[one, two]).span("work", CONTEXT, parent=parent, attributes={"a": 1}) as span:
        span.set("b", "x")
    expected = {"name": "work", "context": CONTEXT, "parent": parent, "attributes": {"a": 1, "b": "x"}}
    assert one.spans == two.spans == [expected]
    assert metrics.spans == []


def test_an_exception_marks_every_span_and_goes_on():
    one, two = Notebook(), Notebook()
    with pytest.raises(LookupError), FanOut(metrics=[], traces=[one, two]).span("work", CONTEXT):
        raise LookupError
    assert [span["error"] for span in one.spans + two.spans] == [LookupError, LookupError]


def test_an_adapter_for_both_hears_of_an_event_once():
    both, metrics = Notebook(), Notebook()
    FanOut(metrics=[both, metrics], traces=[both]).event("started", {"a": 1})
    assert both.events == metrics.events == [("started", {"a": 1})]


@pytest.mark.parametrize(("traces", "traced"), [([], False), ([Notebook()], True)])
def test_it_knows_whether_anyone_records_spans(traces, traced):
    assert FanOut(metrics=[], traces=traces).traced is traced
