"""What was recorded, in the one form in which the contract compares it."""

from __future__ import annotations

import re

import msgspec

from tradesense.core.telemetry.models import Instrument, Kind
from tradesense.core.telemetry.ports import AttributeValue

_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \S+)?", re.DOTALL)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
_ESCAPED = re.compile(r"\\(.)")
_INVALID = re.compile(r"[^a-zA-Z0-9_:]")


class Reading(msgspec.Struct, frozen=True):
    """One series of one instrument."""

    value: float
    """A counter's total, a gauge's last value, the sum of a histogram."""
    count: int = 0
    """How many values a histogram has observed; 0 for the other kinds."""


class EndedSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A span that was recorded."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str = ""
    """The span id of the parent; empty for a root."""
    failed: bool = False
    attributes: dict[str, AttributeValue] = {}


class Sample(msgspec.Struct, frozen=True):
    """One line of an exposition."""

    name: str
    labels: dict[str, str]
    value: float


def read_exposition(body: bytes) -> list[Sample]:
    """Every sample of a text in Prometheus' exposition format, or in that of OpenMetrics.

    :raises AssertionError: a line is neither a comment nor a sample, as when a label's value was not escaped.
    """
    lines = body.decode().split("\n")
    return [_sample(line) for line in lines if line and not line.startswith("#")]


def _sample(line: str) -> Sample:
    match = _SAMPLE.fullmatch(line)
    assert match is not None, f"{line[:200]!r} is no sample"
    name, text, value = match.groups()
    return Sample(name, _labels(text or ""), float(value))


def _labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _LABEL.match(text, place)
        assert match is not None, f"{text[place : place + 200]!r} is no label"
        labels[match[1]] = _ESCAPED.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], match[2])
        place = match.end()
    return labels


def readings(samples: list[Sample], instrument: Instrument, labels: tuple[str, ...]) -> list[Reading]:
    """What the samples say of one series; two readings mean that there are two series."""
    begin = _INVALID.sub("_", instrument.name)
    wanted = dict(zip(instrument.labels, labels, strict=True)).items()
    found = [
        sample
        for sample in samples
        if sample.name.startswith(begin) and not sample.name.endswith("_created") and wanted <= sample.labels.items()
    ]
    if instrument.kind is not Kind.HISTOGRAM:
        return [Reading(sample.value) for sample in found]
    sums = [sample.value for sample in found if sample.name.endswith("_sum")]
    counts = [int(sample.value) for sample in found if sample.name.endswith("_count")]
    return [Reading(total, count) for total, count in zip(sums, counts, strict=True)]
