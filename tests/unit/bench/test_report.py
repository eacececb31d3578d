"""What a benchmark keeps of its times, and the page that it makes of them."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from tradesense.entrypoints.bench import zipf
from tradesense.entrypoints.bench.measuring import Results
from tradesense.entrypoints.bench.report import html
from tradesense.entrypoints.bench.timing import BOUNDS, row
from tradesense.entrypoints.bench.zipf import HitRate

MICROSECOND = 1e-6


def a_row(adapter, *, tasks=1, slower=1):
    times = [number * slower * MICROSECOND for number in range(1, 1001)]
    return row(adapter, "get hit", tasks=tasks, per_second=1000 / slower, seconds=times)


@pytest.fixture
def results():
    rates = tuple(
        HitRate(
            adapter=name,
            reads=100,
            in_process=70,
            in_store=20,
            made=10,
            seconds=1,
            course=tuple((float(reads), reads / 10) for reads in range(10, 110, 10)),
        )
        for name in ("memory", "hybrid")
    )
    rows = (a_row("memory"), a_row("memory", tasks=50), a_row("hybrid", slower=2), a_row("hybrid", tasks=50))
    return Results(room="cache", rows=rows, hit_rates=rates, facts={"machine": "x, 2 cores", "seed of the load": "1"})


def test_percentiles_are_those_of_the_calls():
    found = a_row("memory")
    assert (found.median_us, found.p90_us, found.p99_us, found.p999_us) == pytest.approx((501, 901, 991, 1000))
    assert found.worst_us == pytest.approx(1000)
    assert sum(found.counts) == 1000
    assert found.share_within(100) == pytest.approx(9.9, abs=0.2)
    assert found.share_within(100_000) == 100


def test_the_course_of_the_times_rises_to_all_of_them():
    points = a_row("memory").within()
    parts = [part for _, part in points]
    assert parts == sorted(parts)
    assert parts[-1] == 100
    assert points[-1][0] < 10_000


def test_a_call_of_more_than_ten_seconds_is_counted():
    found = row("x", "get", tasks=1, per_second=1, seconds=[11.0])
    assert found.counts[-1] == 1
    assert found.within() == []
    assert len(found.counts) == len(BOUNDS) + 1


def test_the_page_is_the_same_for_the_same_results(results):
    assert html(results) == html(results)


def test_the_page_loads_nothing_and_runs_nothing(results):
    page = html(results)
    assert "default-src &#x27;none&#x27;" in page
    assert re.findall(r"<(script|link|img|iframe|object|embed|base)\b", page) == []
    assert re.findall(r"\b(?:src|href|action|data)=|url\(|@import", page) == []
    assert set(re.findall(r"https?://[^\"]+", page)) == {"http://www.w3.org/2000/svg"}


def test_every_chart_has_a_title_a_description_and_a_table_of_its_own(results):
    page = html(results)
    charts = re.findall(r"<figure>.*?</figure>", page)
    assert len(charts) == 6
    for chart in charts:
        svg = ET.fromstring(re.search(r"<svg.*</svg>", chart).group())
        ids = {part.get("id") for part in svg}
        assert set(svg.get("aria-labelledby").split()) <= ids
        assert "<table><caption>" in chart
    assert max(Counter(re.findall(r' id="([^"]+)"', page)).values()) == 1


def test_the_page_tells_the_facts_of_the_run(results):
    page = html(results)
    assert "<dt>machine</dt><dd>x, 2 cores</dd>" in page
    assert "<dt>seed of the load</dt><dd>1</dd>" in page


def test_the_load_is_the_same_for_the_same_seed_and_uneven():
    load = zipf.popular(10_000, 50_000, seed=1)
    assert load == zipf.popular(10_000, 50_000, seed=1)
    assert load != zipf.popular(10_000, 50_000, seed=2)
    often = Counter(load)
    assert often[0] / often[9] == pytest.approx(10, rel=0.2)
