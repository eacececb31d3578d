"""The charts. Each is one `svg` element with a title and a description that a screen reader reads out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

from msgspec import Struct

from tradesense.entrypoints.plots.marks import coordinate, shown, tag, text
from tradesense.entrypoints.plots.scales import Scale, spanning, thinned

WIDTH = 760.0
LEFT = 190.0
"""Room for the names of categories."""
RIGHT = 90.0
"""Room for the number behind the longest bar."""
TOP = 34.0
"""Room for the legend."""
BOTTOM = 44.0
"""Room for the numbers and the name of the axis."""
BAR, GAP = 16.0, 12.0
PLOT = 260.0
"""The height of a plot of lines."""
MARK = 4.0
LEGEND = 130.0
MOST_TICKS = 8
DASHES = ("", "7 4", "2 3", "9 3 2 3")
"""So that lines differ by more than their colour."""


class Chart(Struct, frozen=True, kw_only=True):
    """What a chart is called and what it says."""

    id: str
    """Unique on its page."""
    title: str
    description: str
    """What there is to see, for those who do not see it."""


class Axis(Struct, frozen=True, kw_only=True):
    """What the numbers are."""

    label: str
    scale: Literal["linear", "log"] = "linear"
    full: float = 0.0
    """What the axis reaches to at the least."""


class Series(Struct, frozen=True):
    """One number for each category."""

    name: str
    values: tuple[float, ...]


class Line(Struct, frozen=True):
    """Points that are joined, from left to right."""

    name: str
    points: tuple[tuple[float, float], ...]


class Range(Struct, frozen=True):
    """A number and what lies about it, as an estimate and its interval, or a median and two percentiles."""

    low: float
    middle: float
    high: float


class Ranges(Struct, frozen=True):
    """One range for each category."""

    name: str
    ranges: tuple[Range, ...]


def bars(
    chart: Chart, axis: Axis, categories: Sequence[str], series: Sequence[Series], *, stacked: bool = False
) -> str:
    """A bar for each number, those of one category beside each other, or one behind the other where ``stacked``."""
    slots = 1 if stacked else len(series)
    tops = [sum(one.values[row] for one in series) for row in range(len(categories))]
    values = tops if stacked else [value for one in series for value in one.values]
    scale = _across(axis, values)
    drawn: list[str] = []
    for row, top in enumerate(_tops(len(categories), slots)):
        ends = [0.0, *accumulate(one.values[row] for one in series)]
        for number, one in enumerate(series):
            start = ends[number] if stacked else 0.0
            end = start + one.values[row]
            left, right = scale.at(start if start or not scale.log else scale.low), scale.at(end)
            y = top if stacked else top + number * BAR
            name = f"{one.name}: {shown(one.values[row])}"
            drawn.append(_rect(min(left, right), y, number, name, width=abs(right - left), height=BAR - 2))
            if not stacked:
                drawn.append(_text(max(left, right) + MARK, y + BAR - 5, shown(one.values[row]), "value"))
    return _rows(chart, axis, scale, drawn, categories=categories, slots=slots, names=[one.name for one in series])


def ranges(chart: Chart, axis: Axis, categories: Sequence[str], series: Sequence[Ranges]) -> str:
    """A dot for each number on a line from its low to its high end."""
    every = [value for one in series for each in one.ranges for value in (each.low, each.middle, each.high)]
    scale = _across(axis, every)
    drawn: list[str] = []
    for row, top in enumerate(_tops(len(categories), len(series))):
        for number, one in enumerate(series):
            each, y = one.ranges[row], top + number * BAR + BAR / 2
            name = f"{one.name}: {shown(each.middle)}, from {shown(each.low)} to {shown(each.high)}"
            left, right = scale.at(each.low), scale.at(each.high)
            whisker = tag("line", x1=left, y1=y, x2=right, y2=y, class_=f"whisker s{number}")
            drawn.append(tag("g", tag("title", text(name)), whisker, _mark(scale.at(each.middle), y, number)))
            drawn.append(_text(right + 2 * MARK, y + MARK, shown(each.middle), "value"))
    return _rows(
        chart, axis, scale, drawn, categories=categories, slots=len(series), names=[one.name for one in series]
    )


def lines(chart: Chart, x: Axis, y: Axis, series: Sequence[Line]) -> str:
    """A line for each series."""
    left = LEFT / 2
    across = spanning(
        (point[0] for one in series for point in one.points),
        start=left,
        end=WIDTH - RIGHT / 2,
        log=x.scale == "log",
        full=x.full,
    )
    up = spanning(
        (point[1] for one in series for point in one.points),
        start=TOP + PLOT,
        end=TOP,
        log=y.scale == "log",
        full=y.full,
    )
    drawn = [_upright(across, TOP, TOP + PLOT)]
    for tick in thinned(up.ticks(), MOST_TICKS):
        drawn.append(tag("line", x1=left, y1=up.at(tick), x2=across.end, y2=up.at(tick), class_="grid"))
        drawn.append(_text(left - 6, up.at(tick) + MARK, shown(tick), "tick end"))
    for number, one in enumerate(series):
        points = " ".join(f"{coordinate(across.at(a))},{coordinate(up.at(b))}" for a, b in one.points)
        dash = DASHES[number % len(DASHES)]
        name = tag("title", text(one.name))
        drawn.append(tag("polyline", name, points=points, class_=f"line s{number}", stroke_dasharray=dash or "none"))
    drawn.append(_text((across.start + across.end) / 2, TOP + PLOT + BOTTOM - 6, x.label, "axis middle"))
    drawn.append(_text(MARK, TOP - 17, y.label, "axis"))
    return _svg(chart, TOP + PLOT + BOTTOM, [one.name for one in series], drawn)


def _across(axis: Axis, values: Sequence[float]) -> Scale:
    return spanning(values, start=LEFT, end=WIDTH - RIGHT, log=axis.scale == "log", full=axis.full)


def _tops(rows: int, slots: int) -> list[float]:
    return [TOP + GAP / 2 + row * (slots * BAR + GAP) for row in range(rows)]


def _rows(
    chart: Chart,
    axis: Axis,
    scale: Scale,
    drawn: Sequence[str],
    *,
    categories: Sequence[str],
    slots: int,
    names: Sequence[str],
) -> str:
    """The frame around categories that stand one below the other."""
    bottom = TOP + len(categories) * (slots * BAR + GAP)
    labels = [
        _text(LEFT - 8, top + slots * BAR / 2 + MARK, category, "category end")
        for category, top in zip(categories, _tops(len(categories), slots), strict=True)
    ]
    label = _text((scale.start + scale.end) / 2, bottom + BOTTOM - 6, axis.label, "axis middle")
    return _svg(chart, bottom + BOTTOM, names, [_upright(scale, TOP, bottom), *labels, *drawn, label])


def _upright(scale: Scale, top: float, bottom: float) -> str:
    """The lines of the grid that stand upright, each with its number below."""
    parts: list[str] = []
    for tick in thinned(scale.ticks(), MOST_TICKS):
        x = scale.at(tick)
        parts.append(tag("line", x1=x, y1=top, x2=x, y2=bottom, class_="grid"))
        parts.append(_text(x, bottom + 16, shown(tick), "tick middle"))
    return "".join(parts)


def _svg(chart: Chart, height: float, names: Sequence[str], drawn: Sequence[str]) -> str:
    legend = "".join(
        _rect(LEFT + number * LEGEND, 8, number, name, width=BAR, height=10)
        + _text(LEFT + number * LEGEND + BAR + 6, 17, name, "legend")
        for number, name in enumerate(names)
    )
    title, description = f"{chart.id}-title", f"{chart.id}-description"
    return tag(
        "svg",
        tag("title", text(chart.title), id=title),
        tag("desc", text(chart.description), id=description),
        legend,
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {coordinate(WIDTH)} {coordinate(height)}",
        role="img",
        aria_labelledby=f"{title} {description}",
    )


def _rect(x: float, y: float, number: int, name: str, *, width: float, height: float) -> str:
    return tag("rect", tag("title", text(name)), x=x, y=y, width=width, height=height, class_=f"bar s{number}")


def _mark(x: float, y: float, number: int) -> str:
    return tag("circle", cx=x, cy=y, r=MARK, class_=f"mark s{number}")


def _text(x: float, y: float, content: str, classes: str) -> str:
    return tag("text", text(content), x=x, y=y, class_=classes)
