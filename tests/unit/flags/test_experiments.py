"""Experiments: who was shown what is noted once and handed over, and results follow from counts."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from flagkit import flag, shares, toolkit, when
from tradesense.adapters.memory import _experiments
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.errors import InvalidFlag, InvalidInput, JobQueueUnavailable
from tradesense.core.flags.checking import check_flag
from tradesense.core.flags.experiments import events, exposures
from tradesense.core.flags.experiments.exposures import Exposures
from tradesense.core.flags.experiments.results import results
from tradesense.core.flags.models import Experiment, Exposure, Tallies, Tally
from tradesense.core.testing import eventually
from tradesense.core.testing.checks import ManualClock, started
from tradesense.entrypoints.plots import experiments as plots
from tradesense.entrypoints.plots.page import alone


class Outbox:
    """What jobs are enqueued at."""

    def __init__(self):
        self.away = False
        self.most = 500
        self.taken = []

    async def enqueue(self, name, payload):
        assert name == "feature_flag.evaluation"
        if self.away:
            raise JobQueueUnavailable("away")
        if len(payload["events"]) > self.most:
            raise InvalidInput("a job has at most so many bytes")
        self.taken += events.read(msgspec.json.decode(msgspec.json.encode(payload)))


class Told:
    def __init__(self):
        self.events = []

    def event(self, name, attributes):
        self.events.append((name, attributes))


@pytest.fixture
def outbox():
    return Outbox()


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def noted(outbox, told):
    return Exposures(jobs=outbox, clock=ManualClock(), telemetry=told)


def exposure(variant, person):
    return Exposure(flag="f", variant=variant, targeting_key=person, at=ManualClock().now())


async def test_each_person_is_noted_once_by_opentelemetrys_names_and_without_a_name_in_telemetry(noted, outbox, told):
    for person in ("u1", "u2", "u1"):
        noted.note("f", "a", person)
    noted.note("f", "b", "u1")
    await noted.flush()
    assert outbox.taken == [exposure("a", "u1"), exposure("a", "u2"), exposure("b", "u1")]
    assert {name for name, _ in told.events} == {"feature_flag.evaluation"}
    assert "u1" not in str(told.events)
    (event, *_) = events.payload([exposure("a", "u1")])["events"]
    assert event["feature_flag.key"] == "f"
    assert event["feature_flag.result.variant"] == "a"
    assert event["feature_flag.context.id"] == "u1"


async def test_what_waits_for_an_outbox_that_is_away_is_kept_within_bounds(noted, outbox, monkeypatch):
    monkeypatch.setattr(exposures, "MOST_WAITING", 3)
    monkeypatch.setattr(exposures, "BATCH", 2)
    outbox.away = True
    for number in range(5):
        noted.note("f", "a", f"u{number}")
    await noted.flush()
    outbox.away = False
    await noted.flush()
    assert [one.targeting_key for one in outbox.taken] == ["u0", "u1", "u2"]
    noted.note("f", "a", "u4")
    await noted.flush()
    assert outbox.taken[-1].targeting_key == "u4", "who was dropped comes again"


@pytest.mark.parametrize(("most", "taken"), [(3, 10), (1, 10), (0, 0)])
async def test_what_one_job_cannot_hold_goes_in_several_and_keeps_up_nobody(noted, outbox, most, taken):
    outbox.most = most
    for number in range(10):
        noted.note("f", "a", f"u{number}")
    await noted.flush()
    assert len(outbox.taken) == taken
    outbox.most = 500
    noted.note("f", "a", "late")
    await noted.flush()
    assert [one.targeting_key for one in outbox.taken[taken:]] == ["late"]


async def test_it_is_handed_over_meanwhile_and_the_rest_at_the_end(noted, outbox, monkeypatch):
    monkeypatch.setattr(exposures, "PAUSE", 0.0)

    async def handed_over():
        return outbox.taken

    async with started(noted.run()):
        noted.note("f", "a", "u1")
        await eventually(handed_over, seconds=10)
        outbox.taken.clear()
        noted.note("f", "a", "u2")
    assert [one.targeting_key for one in outbox.taken] == ["u2"]


async def test_cancelled_before_anything_was_noted_it_ends(noted, outbox):
    async with started(noted.run()):
        await asyncio.sleep(0)
    assert outbox.taken == []


def tallies(mixed=0, **counts):
    variants = [Tally(variant=name, exposed=some, converted=did) for name, (some, did) in sorted(counts.items())]
    return Tallies(variants=tuple(variants), mixed=mixed)


SPLIT = flag(
    when(shares=shares(on=50, off=50)), experiment=Experiment(control="off", metrics=("bought",)), key="checkout"
)


def test_results_hold_counts_rates_intervals_and_tests():
    found = results(SPLIT, "off", {"bought": tallies(mixed=3, off=(10_000, 1_000), on=(10_100, 1_400))})
    assert (found.exposed, found.mixed) == (20_100, 3)
    control, variant = found.metrics[0].variants
    assert (control.variant, control.rate, control.comparison) == ("off", 0.1, None)
    assert variant.comparison.sequential_p_value < 0.001
    assert variant.comparison.sequential_interval.low > 0
    assert (found.sample_ratio.planned, found.sample_ratio.mismatch) == ({"on": 50.0, "off": 50.0}, False)


def test_a_split_that_is_not_as_planned_is_told():
    assert results(SPLIT, "off", {"": tallies(off=(5_400, 0), on=(4_600, 0))}).sample_ratio.mismatch
    assert results(SPLIT, "off", {"": tallies(off=(5_400, 0))}).sample_ratio.mismatch, "nobody was shown one"
    two = flag(when(shares=shares(on=50)), when(shares=shares(off=50)), experiment=SPLIT.experiment)
    assert results(two, "off", {"": tallies(off=(5_400, 0))}).sample_ratio is None


def test_nobody_yet_is_told_as_that_and_drawn():
    found = results(SPLIT, "off", {"bought": tallies()})
    assert [one.comparison and one.comparison.p_value for one in found.metrics[0].variants] == [None, 1.0]
    assert "<svg" in plots.report(found)


def test_the_plot_stands_alone_and_says_what_it_shows():
    found = results(SPLIT, "off", {"bought": tallies(off=(100, 10), on=(100, 20)), "<b>": tallies(off=(1, 0))})
    svg = alone(plots.chart(found))
    assert svg.startswith("<svg")
    assert "<style>" in svg
    assert "off 10 %, on 20 %" in svg
    assert "<b>" not in svg
    assert "sequential" not in svg


def test_an_experiment_of_a_planned_size_says_how_far_it_is():
    planned = flag(when(shares=shares(on=50, off=50)), experiment=Experiment(control="off", size=400))
    counts = {"bought": tallies(off=(100, 10), on=(100, 25))}
    found, endless = results(planned, "off", counts), results(SPLIT, "off", counts)
    assert (found.progress, endless.progress) == (0.5, None)
    (p_value, without) = (one.metrics[0].variants[1].comparison.sequential_p_value for one in (found, endless))
    assert p_value < without
    assert "50 %" in plots.report(found)
    with pytest.raises(InvalidFlag, match=r"experiment\.size"):
        check_flag(replace(planned, experiment=Experiment(control="off", size=-1)), toolkit())


async def test_memory_keeps_the_last_of_very_many_people(monkeypatch):
    most = 50
    monkeypatch.setattr(_experiments, "MOST_ROWS", most)
    async with _experiments.MemoryExperiments(MemoryState()) as store:
        await store.expose([exposure("a", f"u{number}") for number in range(most)])
        await store.expose([exposure("b", f"v{number}") for number in range(10)])
        assert [one.exposed for one in (await store.tally("f", "bought")).variants] == [most - 10, 10]
