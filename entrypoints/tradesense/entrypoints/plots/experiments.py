"""The results of an experiment as a chart, a table and a page."""

from __future__ import annotations

from tradesense.core.flags.experiments.results import MetricResult, Results, VariantResult
from tradesense.core.flags.experiments.statistics import ALPHA, Interval
from tradesense.entrypoints.plots.charts import Axis, Chart, Range, Ranges, ranges
from tradesense.entrypoints.plots.marks import Table, rounded
from tradesense.entrypoints.plots.page import Figure, Section, page

RATE = Axis(label="conversions per 100 people, with their intervals at 95 %")
HEAD = ("variant", "people", "converted", "rate", "interval", "difference", "interval at any time", "p at any time")


def chart(found: Results) -> str:
    """The rates of all variants by every metric, with their intervals."""
    names = [one.variant for one in found.metrics[0].variants]
    series = [
        Ranges(
            one.metric or "conversions",
            tuple(_range(each.interval, each.rate) for each in one.variants),
        )
        for one in found.metrics
    ]
    told = "; ".join(
        f"{one.metric or 'conversions'}: " + ", ".join(f"{each.variant} {percent(each.rate)}" for each in one.variants)
        for one in found.metrics
    )
    return ranges(Chart(id="rates", title=f"Rates of {found.key}", description=told), RATE, names, series)


def report(found: Results) -> str:
    """The page as HTML."""
    facts = {"people": str(found.exposed), "left out, as they saw several variants": str(found.mixed)}
    if found.sample_ratio is not None:
        state = "another than planned: the results say nothing" if found.sample_ratio.mismatch else "as planned"
        facts["split"] = f"{state} (p = {rounded(found.sample_ratio.p_value)})"
    if found.progress is not None:
        facts["of the planned size"] = percent(found.progress)
    sections = [_section(one, chart(_only(found, one))) for one in found.metrics]
    introduction = (
        f"Each variant against the control, {found.control}. The tests hold however often the results are looked at."
    )
    return page(f"Experiment {found.key}", introduction, facts, sections)


def percent(rate: float) -> str:
    """A rate for people."""
    return f"{rounded(100 * rate)} %"


def row(one: VariantResult) -> tuple[str, ...]:
    """A variant as the cells of a table; see :data:`HEAD`."""
    against = one.comparison
    apart = (
        ("", "", "")
        if against is None
        else (percent(against.difference), _interval(against.sequential_interval), rounded(against.sequential_p_value))
    )
    return one.variant, str(one.exposed), str(one.converted), percent(one.rate), _interval(one.interval), *apart


def _section(metric: MetricResult, svg: str) -> Section:
    name = metric.metric or "conversions"
    clear = [
        one.variant
        for one in metric.variants
        if one.comparison is not None and one.comparison.sequential_p_value < ALPHA
    ]
    text = f"Other than the control: {', '.join(clear)}." if clear else "No variant is clearly other than the control."
    table = Table(caption=f"By {name}", head=HEAD, rows=tuple(row(one) for one in metric.variants))
    return Section(title=name, text=text, figures=(Figure(svg=svg, table=table),))


def _only(found: Results, metric: MetricResult) -> Results:
    return Results(
        key=found.key,
        control=found.control,
        exposed=found.exposed,
        mixed=found.mixed,
        sample_ratio=found.sample_ratio,
        progress=found.progress,
        metrics=(metric,),
    )


def _range(interval: Interval, rate: float) -> Range:
    return Range(100 * interval.low, 100 * rate, 100 * interval.high)


def _interval(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"
