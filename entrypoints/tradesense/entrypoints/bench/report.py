"""The report of a run as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from tradesense.entrypoints.bench.measuring import Results
from tradesense.entrypoints.bench.timing import Row
from tradesense.entrypoints.bench.zipf import KEYS, NEAR, HitRate
from tradesense.entrypoints.plots.charts import Axis, Chart, Line, Range, Ranges, Series, bars, lines, ranges
from tradesense.entrypoints.plots.marks import Table, rounded, shown
from tradesense.entrypoints.plots.page import Figure, Section, page

WITHIN = (1, 10, 100, 1_000, 10_000, 100_000)
LATENCY = Axis(label="microseconds a call, logarithmic", scale="log")


def html(results: Results) -> str:
    """The page. The same results give the same page."""
    adapters = list(dict.fromkeys(row.adapter for row in results.rows))
    sections = [_throughput(results.rows, adapters), _spread(results.rows, adapters), _courses(results.rows)]
    if results.hit_rates:
        sections.append(_hit_rates(results.hit_rates))
    return page(
        f"TradeSense bench: {results.room}",
        f"The same operations over {', '.join(adapters)}, one adapter after the other in one process.",
        results.facts,
        sections,
    )


def _throughput(rows: Sequence[Row], adapters: Sequence[str]) -> Section:
    labels = _labels(rows)
    by = {(row.adapter, row.label): row.per_second for row in rows}
    series = [Series(name, tuple(by.get((name, label), 0.0) for label in labels)) for name in adapters]
    best = [max(adapters, key=lambda name, label=label: by.get((name, label), 0.0)) for label in labels]  # type: ignore[misc]  # the default binds the label
    chart = Chart(
        id="throughput",
        title="Throughput",
        description="Calls a second by operation and adapter. Quickest: "
        + "; ".join(f"{label}: {name}" for label, name in zip(labels, best, strict=True)),
    )
    svg = bars(chart, Axis(label="calls a second, logarithmic", scale="log"), labels, series)
    table = Table(
        caption="Calls a second",
        head=("operation", *adapters),
        rows=tuple((label, *(_number(by.get((name, label))) for name in adapters)) for label in labels),
    )
    text = "Each operation is repeated for a fixed time, by one task and by many at once."
    return Section(title="Throughput", text=text, figures=(Figure(svg=svg, table=table),))


def _spread(rows: Sequence[Row], adapters: Sequence[str]) -> Section:
    labels = [label for label in _labels(rows) if all((name, label) in _by(rows) for name in adapters)]
    by = _by(rows)
    series = [Ranges(name, tuple(_range(by[name, label]) for label in labels)) for name in adapters]
    chart = Chart(
        id="latency",
        title="Latency",
        description="By operation and adapter the median time of a call, and a line to the 99th percentile.",
    )
    table = Table(
        caption="Microseconds a call",
        head=("operation and adapter", "median", "90 %", "99 %", "99.9 %", "worst"),
        rows=tuple((f"{row.label}: {row.adapter}", *_percentiles(row)) for row in rows),
    )
    figure = Figure(svg=ranges(chart, LATENCY, labels, series), table=table)
    return Section(
        title="Latency", text="The dot is the median, the line goes to the 99th percentile.", figures=(figure,)
    )


def _courses(rows: Sequence[Row]) -> Section:
    figures = tuple(_course(number, label, rows) for number, label in enumerate(_labels(rows)))
    text = "How many of all calls took less than so long: the steeper and the further to the left, the better."
    return Section(title="Distribution of latency", text=text, figures=figures)


def _course(number: int, label: str, rows: Sequence[Row]) -> Figure:
    these = [row for row in rows if row.label == label]
    medians = "; ".join(f"{row.adapter}: half within {rounded(row.median_us)} microseconds" for row in these)
    chart = Chart(id=f"distribution-{number}", title=f"Distribution of latency: {label}", description=medians)
    courses = [Line(row.adapter, tuple(row.within())) for row in these]
    svg = lines(chart, LATENCY, Axis(label="% of calls", full=100), courses)
    table = Table(
        caption=f"Per cent of calls within so many microseconds: {label}",
        head=("adapter", *(f"{bound:,}" for bound in WITHIN)),
        rows=tuple((row.adapter, *(f"{row.share_within(bound):.1f}" for bound in WITHIN)) for row in these),
    )
    return Figure(title=label, svg=svg, table=table)


def _hit_rates(rates: Sequence[HitRate]) -> Section:
    names = [rate.adapter for rate in rates]
    parts = ("in the process", "in the store", "made anew")
    series = [
        Series(parts[0], tuple(rate.in_process for rate in rates)),
        Series(parts[1], tuple(rate.in_store for rate in rates)),
        Series(parts[2], tuple(rate.made for rate in rates)),
    ]
    said = "; ".join(f"{rate.adapter}: {100 - rate.made:.1f} % answered" for rate in rates)
    table = Table(
        caption="Per cent of the reads",
        head=("adapter", *parts, "answered", "reads", "seconds"),
        rows=tuple(
            (
                rate.adapter,
                *(f"{part:.1f}" for part in (rate.in_process, rate.in_store, rate.made, 100 - rate.made)),
                f"{rate.reads:,}",
                f"{rate.seconds:.1f}",
            )
            for rate in rates
        ),
    )
    answered = bars(
        Chart(id="hits", title="Where reads were answered", description=said),
        Axis(label="% of the reads", full=100),
        names,
        series,
        stacked=True,
    )
    course = lines(
        Chart(id="course", title="Answered reads, from an empty cache on", description=said),
        Axis(label="reads"),
        Axis(label="% answered", full=100),
        [Line(rate.adapter, rate.course) for rate in rates],
    )
    ends = Table(
        caption="Per cent answered after so many reads",
        head=("adapter", *(f"{reads:,.0f}" for reads, _ in _quarters(rates[0]))),
        rows=tuple((rate.adapter, *(f"{part:.1f}" for _, part in _quarters(rate))) for rate in rates),
    )
    return Section(
        title="Hit rate under a Zipf load",
        text=f"{KEYS:,} keys, read in proportion to one over their rank (s = 1.0); a process holds {NEAR:,} at most.",
        figures=(Figure(svg=answered, table=table), Figure(svg=course, table=ends)),
    )


def _quarters(rate: HitRate) -> list[tuple[float, float]]:
    count = len(rate.course)
    return [rate.course[max(0, count * part // 4 - 1)] for part in range(1, 5)]


def _by(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row.adapter, row.label): row for row in rows}


def _labels(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.label for row in rows))


def _range(row: Row) -> Range:
    return Range(row.median_us, row.median_us, row.p99_us)


def _percentiles(row: Row) -> tuple[str, ...]:
    return tuple(rounded(one) for one in (row.median_us, row.p90_us, row.p99_us, row.p999_us, row.worst_us))


def _number(value: float | None) -> str:
    return "" if value is None else shown(value)
