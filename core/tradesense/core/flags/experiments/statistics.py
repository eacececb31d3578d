"""The statistics of experiments: intervals, tests that may be looked at any time, and whether the split is as planned.

All of them are functions of counts. Rates are of people: each counts once for an exposure and once for a conversion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from msgspec import Struct

ALPHA = 0.05
TAU = 0.02
"""The spread of the differences that the sequential test expects, as a rate: it is most sensitive about there."""

WITHIN = 0.98
"""The part of ``alpha`` that an experiment of a planned size spends until it has that size."""

_NORMAL = NormalDist()


class Count(Struct, frozen=True):
    """One variant."""

    exposed: int
    converted: int
    """At most ``exposed``."""

    @property
    def rate(self) -> float:
        """Conversions per exposure; 0 where nobody was exposed."""
        return self.converted / self.exposed if self.exposed else 0.0


class Interval(Struct, frozen=True):
    """From ``low`` to ``high``."""

    low: float
    high: float


class Comparison(Struct, frozen=True, kw_only=True):
    """A variant against the control."""

    difference: float
    """Of the rates."""
    interval: Interval
    """Of the difference, for who looks once, at a size that was fixed before."""
    p_value: float
    """For the same."""
    sequential_interval: Interval
    """Of the difference, for who looks as often as they like: it holds at every look at once."""
    sequential_p_value: float
    """For the same."""


def wilson(count: Count, alpha: float = ALPHA) -> Interval:
    """The interval of a rate (E. B. Wilson, 1927), which also holds for few and for none."""
    if not count.exposed:
        return Interval(0.0, 1.0)
    z, size, rate = _NORMAL.inv_cdf(1 - alpha / 2), count.exposed, count.rate
    scale = 1 + z * z / size
    middle = (rate + z * z / (2 * size)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / size + z * z / (4 * size * size))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def compared(
    control: Count, variant: Count, *, alpha: float = ALPHA, tau: float = TAU, progress: float | None = None
) -> Comparison:
    """Whether the variant's rate is another than the control's.

    :param progress: the part of a planned size that is reached, 1 for all of it; ``None`` where none was planned. A
        sequential test that knows its end finds smaller differences, and finds what is not there as often as ``alpha``
        says, where one without an end stays below.
    """
    difference = variant.rate - control.rate
    if not control.exposed or not variant.exposed:
        whole = Interval(-1.0, 1.0)
        return Comparison(
            difference=difference, interval=whole, p_value=1.0, sequential_interval=whole, sequential_p_value=1.0
        )
    pooled = _pooled(control, variant)
    apart = math.sqrt(_variance(control) + _variance(variant))
    half = _NORMAL.inv_cdf(1 - alpha / 2) * apart
    sequential, p_value = _sequentially(difference, pooled, alpha, tau, progress)
    return Comparison(
        difference=difference,
        interval=Interval(difference - half, difference + half),
        p_value=2 * _NORMAL.cdf(-abs(difference) / math.sqrt(pooled)) if pooled else 1.0,
        sequential_interval=Interval(max(-1.0, difference - sequential), min(1.0, difference + sequential)),
        sequential_p_value=p_value,
    )


def _sequentially(
    difference: float, variance: float, alpha: float, tau: float, progress: float | None
) -> tuple[float, float]:
    """Half the width of the sequential interval, and the p-value that belongs to it."""
    if progress is None:
        return _radius(variance, alpha, tau), _sequential(difference, variance, tau)
    if progress > 1:
        left = 1 - WITHIN
        return _radius(variance, alpha * left, tau), min(1.0, _sequential(difference, variance, tau) / left)
    return _bounded(difference, variance, alpha * WITHIN, progress)


def _bounded(difference: float, variance: float, alpha: float, progress: float) -> tuple[float, float]:
    """The boundary of O'Brien and Fleming (1979) in its limit for looks that are as frequent as can be.

    The sum of what was seen, as a part of what will have been seen at the end, moves as a Brownian motion from 0 to 1.
    It leaves a band with at most twice the probability that it ends outside (by reflection, on either side).
    """
    if not variance:
        return 1.0, 1.0
    scale = math.sqrt(variance / progress)
    p_value = 4 * _NORMAL.cdf(-abs(difference) / math.sqrt(variance) * math.sqrt(progress))
    return _NORMAL.inv_cdf(1 - alpha / 4) * scale, min(1.0, p_value / WITHIN)


def _variance(count: Count) -> float:
    return count.rate * (1 - count.rate) / count.exposed


def _pooled(control: Count, variant: Count) -> float:
    """The variance of the difference where both rates are the same."""
    rate = (control.converted + variant.converted) / (control.exposed + variant.exposed)
    return rate * (1 - rate) * (1 / control.exposed + 1 / variant.exposed)


def _sequential(difference: float, variance: float, tau: float) -> float:
    """One over the mixture likelihood ratio (mSPRT; Johari, Pekelis and Walsh, 2015), which is valid at every look."""
    if not variance:
        return 1.0
    whole = variance + tau * tau
    log_ratio = 0.5 * math.log(variance / whole) + tau * tau * difference * difference / (2 * variance * whole)
    return min(1.0, math.exp(-log_ratio)) if log_ratio > 0 else 1.0


def _radius(variance: float, alpha: float, tau: float) -> float:
    """Half of the interval that the same ratio gives."""
    if not variance:
        return 1.0
    whole = variance + tau * tau
    return math.sqrt(variance * whole / (tau * tau) * (2 * math.log(1 / alpha) + math.log(whole / variance)))


def mismatch(exposed: Sequence[int], planned: Sequence[float]) -> float:
    """How likely a split as uneven as this is by chance (chi-square test of the sample ratio).

    :param planned: the parts that the variants should have, all above 0; they need not add up to anything.
    """
    total, whole = sum(exposed), sum(planned)
    if not total or len(exposed) < 2:  # noqa: PLR2004  # one variant alone is as planned
        return 1.0
    expected = [total * part / whole for part in planned]
    distance = sum((seen - wanted) ** 2 / wanted for seen, wanted in zip(exposed, expected, strict=True))
    return chi_square(distance, len(exposed) - 1)


def chi_square(distance: float, freedom: int) -> float:
    """The probability of at least this ``distance`` under ``freedom`` degrees (the upper incomplete gamma function)."""
    half, shape = distance / 2, freedom / 2
    if half <= 0:
        return 1.0
    front = math.exp(shape * math.log(half) - half - math.lgamma(shape))
    return 1 - front * _series(shape, half) if half < shape + 1 else front * _fraction(shape, half)


STEPS, CLOSE = 500, 1e-14
TINY = 1e-300


def _series(shape: float, at: float) -> float:
    term = total = 1 / shape
    for step in range(1, STEPS):
        term *= at / (shape + step)
        total += term
        if term < total * CLOSE:
            break
    return total


def _fraction(shape: float, at: float) -> float:
    """The continued fraction, by the method of Lentz."""
    lower = at + 1 - shape
    upper, ratio = 1 / TINY, 1 / lower
    total = ratio
    for step in range(1, STEPS):
        part = -step * (step - shape)
        lower += 2
        ratio = 1 / (part * ratio + lower or TINY)
        upper = lower + part / upper or TINY
        change = upper * ratio
        total *= change
        if abs(change - 1) < CLOSE:
            break
    return total
