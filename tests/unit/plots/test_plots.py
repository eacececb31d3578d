"""Charts are the same text for the same numbers, and say in words what they show."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tradesense.entrypoints.plots.charts import Axis, Chart, Line, Range, Ranges, Series, bars, lines, ranges
from tradesense.entrypoints.plots.marks import Table, coordinate, shown, tag
from tradesense.entrypoints.plots.page import Figure, Section, page
from tradesense.entrypoints.plots.scales import spanning, thinned

SVG = "{http://www.w3.org/2000/svg}"
CHART = Chart(id="c", title='Reads & "writes"', description="<fast>")

BARS = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 106" role="img" aria-labelledby="c-title c-description">'
    '<title id="c-title">Reads &amp; &quot;writes&quot;</title><desc id="c-description">&lt;fast&gt;</desc>'
    '<rect x="190" y="8" width="16" height="10" class="bar s0"><title>ours</title></rect>'
    '<text x="212" y="17" class="legend">ours</text>'
    '<line x1="190" y1="34" x2="190" y2="62" class="grid"/><text x="190" y="78" class="tick middle">0</text>'
    '<line x1="310" y1="34" x2="310" y2="62" class="grid"/><text x="310" y="78" class="tick middle">1</text>'
    '<line x1="430" y1="34" x2="430" y2="62" class="grid"/><text x="430" y="78" class="tick middle">2</text>'
    '<line x1="550" y1="34" x2="550" y2="62" class="grid"/><text x="550" y="78" class="tick middle">3</text>'
    '<line x1="670" y1="34" x2="670" y2="62" class="grid"/><text x="670" y="78" class="tick middle">4</text>'
    '<text x="182" y="52" class="category end">get</text>'
    '<rect x="190" y="40" width="360" height="14" class="bar s0"><title>ours: 3</title></rect>'
    '<text x="554" y="51" class="value">3</text>'
    '<text x="430" y="100" class="axis middle">calls</text></svg>'
)


def test_a_chart_is_the_same_text_for_the_same_numbers():
    drawn = [bars(CHART, Axis(label="calls", full=4), ["get"], [Series("ours", (3.0,))]) for _ in range(2)]
    assert drawn == [BARS, BARS]


def _each() -> dict[str, str]:
    two = [Series("a", (1.0, 1e6)), Series("b", (0.0, 20.0))]
    spread = [Ranges("a", (Range(-1, 0, 3), Range(2, 2, 2)))]
    return {
        "bars": bars(CHART, Axis(label="x", scale="log"), ["one", "two"], two),
        "stacked": bars(CHART, Axis(label="x", full=100), ["one", "two"], two, stacked=True),
        "ranges": ranges(CHART, Axis(label="x"), ["one", "two"], spread),
        "lines": lines(CHART, Axis(label="x"), Axis(label="y"), [Line("a", ((0, 0), (10, 5))), Line("b", ())]),
    }


@pytest.mark.parametrize("kind", ["bars", "stacked", "ranges", "lines"])
def test_a_chart_is_well_formed_and_is_read_out(kind):
    root = ET.fromstring(_each()[kind])
    assert root.get("role") == "img"
    said = {part.get("id"): part.text for part in root}
    assert [said[name] for name in root.get("aria-labelledby").split()] == ['Reads & "writes"', "<fast>"]
    width, height = (float(part) for part in root.get("viewBox").split()[2:])
    for mark in root.iter():
        assert 0 <= float(mark.get("x") or 0) <= width
        assert 0 <= float(mark.get("y") or 0) <= height
        assert float(mark.get("width") or 0) >= 0


def test_stacked_bars_stand_one_behind_the_other():
    root = ET.fromstring(_each()["stacked"])
    first, second = (bar for bar in root.iter(f"{SVG}rect") if bar[0].text in {"a: 1 M", "b: 20"})
    assert float(first.get("x")) + float(first.get("width")) == pytest.approx(float(second.get("x")), abs=0.02)


def test_a_range_may_lie_on_both_sides_of_zero():
    scale = spanning([-1, 3], start=0, end=100)
    assert scale.at(-1) == 0
    assert 0 < scale.at(0) < scale.at(3) == 100


@pytest.mark.parametrize(
    ("values", "log", "ticks"),
    [
        ([3], False, (0, 1, 2, 3)),
        ([97], False, (0, 20, 40, 60, 80, 100)),
        ([0], False, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        ([], False, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        ([-4, 8], False, (-5, 0, 5, 10)),
        ([0, 3, 2000], True, (1, 10, 100, 1000, 10000)),
        ([10], True, (10, 100)),
        ([], True, (1e-9, 1e-8)),
    ],
)
def test_an_axis_goes_from_round_number_to_round_number(values, log, ticks):
    assert spanning(values, start=0, end=1, log=log).ticks() == pytest.approx(ticks)


def test_numbers_beyond_the_scale_stand_at_its_edge():
    scale = spanning([1, 100], start=10, end=30, log=True)
    assert (scale.at(0), scale.at(10), scale.at(1e9)) == (10, 20, 30)


def test_too_many_ticks_are_thinned():
    assert thinned(tuple(range(9)), 5) == (0, 2, 4, 6, 8)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.2679, "0.268"),
        (45_678, "45.7 k"),
        (1_234_567, "1.23 M"),
        (2e9, "2 G"),
        (-5.5, "-5.5"),
        (100, "100"),
    ],
)
def test_numbers_are_shown_to_three_digits(value, text):
    assert shown(value) == text


def test_coordinates_have_no_negative_zero():
    assert (coordinate(-0.0001), coordinate(1 / 3)) == ("0", "0.33")


def test_what_is_written_into_a_page_cannot_leave_its_place():
    hostile = '"><script src=//x></script>'
    table = Table(caption=hostile, head=(hostile,), rows=((hostile,),))
    chart = Chart(id="c", title=hostile, description=hostile)
    figure = Figure(
        title=hostile, svg=bars(chart, Axis(label=hostile), [hostile], [Series(hostile, (1,))]), table=table
    )
    made = page(hostile, hostile, {hostile: hostile}, [Section(title=hostile, text=hostile, figures=(figure,))])
    assert "<script" not in made
    assert tag("a", b_c_='"') == '<a b-c="&quot;"/>'
