"""Experiments: exposures and conversions come in, results go out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from tradesense.core.flags.experiments.results import MetricResult, Results, SampleRatio
from tradesense.core.flags.experiments.service import MOST_AT_ONCE
from tradesense.core.flags.models import Conversion, Exposure
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import Exchange, current
from tradesense.entrypoints.http.guards import guard

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class NewConversion(Body, frozen=True, kw_only=True):
    """Somebody did what is counted."""

    metric: str
    targeting_key: str
    at: datetime | None = None
    """When; now, when left out, and never later than now."""


class NewExposure(Body, frozen=True, kw_only=True):
    """Somebody was shown a variant by who evaluates for themselves."""

    variant: str
    targeting_key: str
    at: datetime | None = None
    """When; now, when left out, and never later than now."""


class NewConversions(Body, frozen=True, kw_only=True):
    """Several at once."""

    conversions: Annotated[list[NewConversion], Meta(max_length=MOST_AT_ONCE)]


class NewExposures(Body, frozen=True, kw_only=True):
    """Several at once."""

    exposures: Annotated[list[NewExposure], Meta(max_length=MOST_AT_ONCE)]


class ResultsView(Struct, frozen=True, kw_only=True):
    """An experiment as it stands."""

    key: str
    control: str
    exposed: int
    """People."""
    mixed: int
    """People who were shown several variants, and are left out."""
    sample_ratio: SampleRatio | None
    """None where the definition gives no single split."""
    progress: float | None
    """The part of the planned size that is reached; above 1 the experiment is over. None where none was planned."""
    metrics: tuple[MetricResult, ...]
    plot: str
    """The rates with their intervals, as one SVG element."""


@post("/api/v1/experiments/{key:str}/exposures", opt=guard("experiments:write"), status_code=204, tags=["flags"])
async def add_exposures(key: FromPath[str], data: JSONBody[NewExposures]) -> None:
    """Take exposures from who evaluates for themselves: of each person to each variant the first counts."""
    here = current()
    taken = [
        Exposure(flag=key, variant=one.variant, targeting_key=one.targeting_key, at=_instant(here, one.at))
        for one in data.exposures
    ]
    await here.services.experiments.expose(key, taken)


@post("/api/v1/experiments/{key:str}/conversions", opt=guard("experiments:write"), status_code=204, tags=["flags"])
async def add_conversions(key: FromPath[str], data: JSONBody[NewConversions]) -> None:
    """Take conversions. A person counts once for each metric, where they were exposed no later."""
    here = current()
    taken = [
        Conversion(flag=key, metric=one.metric, targeting_key=one.targeting_key, at=_instant(here, one.at))
        for one in data.conversions
    ]
    await here.services.experiments.convert(key, taken)


@get("/api/v1/experiments/{key:str}/results", opt=guard("flags:read"), tags=["flags"])
async def experiment_results(key: FromPath[str]) -> ResultsView:
    """Counts, rates, intervals, sequential tests and the sample ratio, with a plot. Look as often as you like."""
    return _view(await current().services.experiments.results(key))


def _view(found: Results) -> ResultsView:
    from tradesense.entrypoints.plots.experiments import chart  # noqa: PLC0415  # only who looks at results pays for it
    from tradesense.entrypoints.plots.page import alone  # noqa: PLC0415  # the same

    return ResultsView(
        key=found.key,
        control=found.control,
        exposed=found.exposed,
        mixed=found.mixed,
        sample_ratio=found.sample_ratio,
        progress=found.progress,
        metrics=found.metrics,
        plot=alone(chart(found)),
    )


def _instant(here: Exchange, given: datetime | None) -> datetime:
    """Clocks differ: what is said to be later than now is now. Without an offset it is UTC; none is before 1970."""
    now = here.services.clock.now()
    if given is None:
        return now
    return min(now, max(EARLIEST, given if given.tzinfo else given.replace(tzinfo=UTC)))


ROUTES: tuple[HTTPRouteHandler, ...] = (add_exposures, add_conversions, experiment_results)
