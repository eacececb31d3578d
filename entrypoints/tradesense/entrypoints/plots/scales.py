"""From numbers to positions, and the numbers that stand at an axis."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, log10

from msgspec import Struct

LEAST = 1e-9
"""What zero is on a logarithmic scale, where the numbers give nothing better."""
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
TICKS = 5


class Scale(Struct, frozen=True, kw_only=True):
    """Where the numbers from ``low`` to ``high`` stand between ``start`` and ``end``. Others stand at the edge."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The position of ``value``."""
        if self.log:
            part = log10(max(value, self.low) / self.low) / log10(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * min(max(part, 0.0), 1.0)

    def ticks(self) -> tuple[float, ...]:
        """The numbers at the axis, ascending: the powers of ten, or some round ones."""
        if self.log:
            return tuple(10.0**power for power in range(round(log10(self.low)), round(log10(self.high)) + 1))
        step = _step(self.high - self.low)
        count = round((self.high - self.low) / step)
        return tuple(self.low + step * number for number in range(count + 1))


def spanning(values: Iterable[float], *, start: float, end: float, log: bool = False, full: float = 0.0) -> Scale:
    """A scale for these numbers, from round number to round number; a linear one has zero on it.

    :param full: what the scale reaches to at the least, as 100 of a percentage.
    """
    given = [*values, full] if full else list(values)
    if log:
        positive = [value for value in given if value > 0] or [LEAST]
        low, high = floor(log10(min(positive))), ceil(log10(max(positive)))
        return Scale(low=10.0**low, high=10.0 ** max(high, low + 1), start=start, end=end, log=True)
    low_value, high_value = min(given, default=0.0), max(given, default=0.0)
    low_value, high_value = min(low_value, 0.0), max(high_value, 0.0)
    if low_value == high_value:
        high_value = 1.0
    step = _step(high_value - low_value)
    low, high = floor(low_value / step + LEAST), ceil(high_value / step - LEAST)
    return Scale(low=low * step, high=high * step, start=start, end=end)


def _step(span: float) -> float:
    """The round number that goes into ``span`` about so many times as there are to be ticks."""
    size = 10.0 ** floor(log10(span / TICKS))
    return next(iter(nice * size for nice in NICE if nice * size * TICKS >= span * (1 - LEAST)), NICE[-1] * size)


def thinned(ticks: tuple[float, ...], most: int) -> tuple[float, ...]:
    """Every n-th of the ticks, so that at most ``most`` are left."""
    every = ceil(len(ticks) / most)
    return ticks[::every]
