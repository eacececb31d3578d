"""The results of an experiment: counts, rates, intervals, comparisons, and whether the split is as planned."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from tradesense.core.flags.experiments.statistics import Comparison, Count, Interval, compared, mismatch, wilson
from tradesense.core.flags.models import Flag, Tallies

SUSPICIOUS = 0.001
"""The probability of a split as uneven as this, below which something is broken: the usual bound for sample ratios."""


class VariantResult(Struct, frozen=True, kw_only=True):
    """One variant by one metric."""

    variant: str
    exposed: int
    converted: int
    rate: float
    interval: Interval
    """Of the rate, at 95 % (Wilson)."""
    comparison: Comparison | None
    """With the control; none for the control itself."""


class MetricResult(Struct, frozen=True, kw_only=True):
    """All variants by one metric."""

    metric: str
    variants: tuple[VariantResult, ...]
    """The control first."""


class SampleRatio(Struct, frozen=True, kw_only=True):
    """Whether as many people were shown each variant as the definition says."""

    planned: dict[str, float]
    """Percent, of those whom the roll-out reaches."""
    p_value: float
    mismatch: bool
    """The split is another than planned, so that the results say nothing: look for what loses or adds people."""


class Results(Struct, frozen=True, kw_only=True):
    """An experiment as it stands. It may be looked at any time: the sequential tests allow for that."""

    key: str
    control: str
    exposed: int
    mixed: int
    """People who were shown several variants, and are left out."""
    sample_ratio: SampleRatio | None
    """None where the definition gives no single split."""
    progress: float | None
    """The part of the planned ``size`` that is reached; above 1 the experiment is over. None where none was planned."""
    metrics: tuple[MetricResult, ...]


def results(flag: Flag, control: str, tallies: Mapping[str, Tallies]) -> Results:
    """The results.

    :param tallies: by metric; at least one, as the exposures stand in each.
    """
    first = next(iter(tallies.values()))
    exposed = {one.variant: one.exposed for one in first.variants}
    people = sum(exposed.values())
    planned = flag.experiment.size if flag.experiment else 0
    progress = people / planned if planned else None
    return Results(
        key=flag.key,
        control=control,
        exposed=people,
        mixed=first.mixed,
        sample_ratio=_ratio(flag, exposed),
        progress=progress,
        metrics=tuple(_metric(flag, control, name, found, progress) for name, found in tallies.items()),
    )


def _metric(flag: Flag, control: str, metric: str, found: Tallies, progress: float | None) -> MetricResult:
    counts = {one.variant: Count(one.exposed, one.converted) for one in found.variants}
    planned = _planned(flag) or {}
    order = dict.fromkeys([control, *planned, *sorted(counts)])
    base = counts.get(control, Count(0, 0))
    return MetricResult(
        metric=metric,
        variants=tuple(_variant(name, control, base, counts.get(name, Count(0, 0)), progress) for name in order),
    )


def _variant(name: str, control: str, base: Count, count: Count, progress: float | None) -> VariantResult:
    return VariantResult(
        variant=name,
        exposed=count.exposed,
        converted=count.converted,
        rate=count.rate,
        interval=wilson(count),
        comparison=None if name == control else compared(base, count, progress=progress),
    )


def _ratio(flag: Flag, exposed: Mapping[str, int]) -> SampleRatio | None:
    planned = _planned(flag)
    if planned is None or exposed.keys() - planned.keys():
        return None  # somebody was shown what no share gives: the definition was another before
    p_value = mismatch([exposed.get(variant, 0) for variant in planned], list(planned.values()))
    return SampleRatio(planned=planned, p_value=p_value, mismatch=p_value < SUSPICIOUS)


def _planned(flag: Flag) -> dict[str, float] | None:
    """The split of the one rule that rolls out; none where there are several, as then nobody knows the whole one."""
    splits = [rule.shares for rule in flag.rules if rule.shares]
    if len(splits) != 1:
        return None
    percents: dict[str, float] = {}
    for share in splits[0]:
        percents[share.variant] = percents.get(share.variant, 0.0) + share.percent
    whole = sum(percents.values())
    return {variant: 100 * percent / whole for variant, percent in percents.items() if percent}
