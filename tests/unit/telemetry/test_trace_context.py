"""The ``traceparent`` header (W3C Trace Context, level 1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.core.telemetry.models import TraceContext

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
hexadecimal = st.sampled_from("0123456789abcdef")


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("03", True), ("02", False), ("ff", True)])
def test_a_header_is_read(flags, sampled):
    assert TraceContext.parse(f"00-{TRACE}-{SPAN}-{flags}") == TraceContext(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-0",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}g-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{'٣' * 32}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0x",
        "00-" + "a" * 100_000,
    ],
)
def test_a_malformed_header_is_ignored(header):
    assert TraceContext.parse(header) is None


@given(
    st.text(hexadecimal, min_size=32, max_size=32).filter(lambda text: set(text) != {"0"}),
    st.text(hexadecimal, min_size=16, max_size=16).filter(lambda text: set(text) != {"0"}),
    st.booleans(),
)
def test_what_is_written_is_read_back(trace_id, span_id, sampled):
    context = TraceContext(trace_id, span_id, sampled)
    assert TraceContext.parse(context.traceparent()) == context


@given(st.text())
def test_reading_never_raises(header):
    assert TraceContext.parse(header) is None or header.startswith("00-")
