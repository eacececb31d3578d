"""The statistics of experiments, against published values and by simulation."""

from __future__ import annotations

import math
import random

import pytest

from tradesense.core.flags.experiments.statistics import ALPHA, Count, chi_square, compared, mismatch, wilson

EXPERIMENTS, LOOKS, SIZE = 2_000, 20, 500


def draw(source, size, rate):
    """About a binomial number."""
    return min(size, max(0, round(source.gauss(size * rate, math.sqrt(size * rate * (1 - rate))))))


def experiments(rates, seed, *, count=EXPERIMENTS):
    """For each experiment, its counts at every look."""
    source = random.Random(seed)
    for _ in range(count):
        sums, seen = [0, 0], []
        for look in range(1, LOOKS + 1):
            sums = [total + draw(source, SIZE, rate) for total, rate in zip(sums, rates, strict=True)]
            seen.append(tuple(Count(look * SIZE, total) for total in sums))
        yield seen


def first_found(looks, planned):
    """At which look the test of a planned size finds a difference; none where it does at none."""
    for number, seen in enumerate(looks, 1):
        if compared(*seen, progress=number / planned).sequential_p_value < ALPHA:
            return number
    return None


def null(source, looks, size, rate):
    """Sums of conversions at every look where there is no difference; those alone that are far apart.

    The boundary is at 2.25 standard deviations of the last sum: nothing is found where they are below 1.9.
    """
    step, apart = math.sqrt(2 * size * rate * (1 - rate)), 0.0
    near = 1.9 * step * math.sqrt(looks)
    for look in range(1, looks + looks // 10 + 1):
        apart += source.gauss(0, step)
        if abs(apart) > near:
            sums = look * size * rate
            yield look, (Count(look * size, round(sums)), Count(look * size, round(sums + apart)))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_one_look_finds_a_difference_that_is_not_there_in_5_of_100_experiments(rate):
    found = sum(compared(*seen[-1]).p_value < ALPHA for seen in experiments((rate, rate), seed=1))
    assert abs(found / EXPERIMENTS - ALPHA) <= 0.01


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_looking_at_any_time_finds_no_more(rate):
    looks = list(experiments((rate, rate), seed=2))
    peeking = sum(any(compared(*seen).p_value < ALPHA for seen in one) for one in looks)
    sequential = sum(any(compared(*seen).sequential_p_value < ALPHA for seen in one) for one in looks)
    assert peeking / EXPERIMENTS > 0.15, "looking often is what the sequential test is for"
    assert sequential / EXPERIMENTS <= ALPHA + 0.01


def test_of_a_planned_size_looking_very_often_finds_what_is_not_there_in_5_of_100_experiments():
    source, planned = random.Random(7), 400
    found = []
    for _ in range(EXPERIMENTS):
        seen = ((at, compared(*one, progress=at / planned)) for at, one in null(source, planned, 40, 0.3))
        found.append(next((at for at, test in seen if test.sequential_p_value < ALPHA), None))
    until_the_end = sum(at is not None and at <= planned for at in found)
    assert abs(until_the_end / EXPERIMENTS - ALPHA) <= 0.01
    assert sum(at is not None for at in found) / EXPERIMENTS <= ALPHA + 0.01, "whoever goes on finds no more"


def test_a_planned_size_finds_a_difference_with_fewer_people():
    looks = list(experiments((0.100, 0.115), seed=9, count=300))
    planned = sum(first_found(seen, LOOKS) is not None for seen in looks)
    endless = sum(any(compared(*seen).sequential_p_value < ALPHA for seen in one) for one in looks)
    assert planned > 1.2 * endless
    seen = looks[0][4]
    for progress in (0.25, 1.0, 1.25):
        one = compared(*seen, progress=progress)
        outside = not one.sequential_interval.low <= 0 <= one.sequential_interval.high
        assert outside == (one.sequential_p_value < ALPHA), "interval and p-value say the same"


def test_the_sequential_interval_holds_the_difference_at_every_look():
    looks = experiments((0.10, 0.12), seed=3)
    missed = 0
    for one in looks:
        intervals = [compared(*seen).sequential_interval for seen in one]
        missed += any(not interval.low <= 0.02 <= interval.high for interval in intervals)
    assert missed / EXPERIMENTS <= ALPHA + 0.01


def test_a_difference_that_is_there_is_found():
    found = sum(
        any(compared(*seen).sequential_p_value < ALPHA for seen in one) for one in experiments((0.10, 0.13), seed=4)
    )
    assert found / EXPERIMENTS > 0.95


def test_a_split_as_planned_is_called_a_mismatch_in_1_of_100_experiments():
    source = random.Random(5)
    called = 0
    for _ in range(EXPERIMENTS):
        first = draw(source, 10_000, 0.5)
        called += mismatch([first, 10_000 - first], [50, 50]) < 0.01
    assert called / EXPERIMENTS <= 0.02
    assert mismatch([5_300, 4_700], [50, 50]) < 1e-6


@pytest.mark.parametrize(
    ("distance", "freedom", "expected"),
    [
        (3.841458820694124, 1, 0.05),
        (5.991464547107979, 2, 0.05),
        (6.6348966010212145, 1, 0.01),
        (0.0, 3, 1.0),
        (18.307038053275146, 10, 0.05),
        (0.1, 5, 0.99983),
        (1.0, 2, math.exp(-0.5)),
    ],
)
def test_the_chi_square_distribution_is_the_published_one(distance, freedom, expected):
    assert chi_square(distance, freedom) == pytest.approx(expected, rel=1e-4)


def test_the_interval_of_a_rate_is_wilsons():
    found = wilson(Count(100, 10))
    assert (round(found.low, 4), round(found.high, 4)) == (0.0552, 0.1744)
    assert wilson(Count(0, 0)) == type(found)(0.0, 1.0)
    assert wilson(Count(10, 0)).low == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    "counts", [(Count(0, 0), Count(0, 0)), (Count(10, 0), Count(10, 0)), (Count(1, 1), Count(5, 5))]
)
def test_too_little_to_tell_is_told_as_that(counts):
    found = compared(*counts)
    assert found.p_value == found.sequential_p_value == 1.0
