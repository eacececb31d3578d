"""What experiments count, in two tables: a row for each person and variant, and for each person and metric."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, case, func, select

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._query import Query
from tradesense.adapters.sql._room import Room
from tradesense.adapters.sql._tables import experiment_conversions, experiment_exposures
from tradesense.core.flags.models import Conversion, Exposure, Tallies, Tally
from tradesense.core.flags.ports import ExperimentStore

MOST_ROWS = 500
"""Of one statement, as databases bound the number of parameters."""

_shown, _done = experiment_exposures.c, experiment_conversions.c
_PEOPLE = (
    select(
        _shown.targeting_key,
        func.min(_shown.variant).label("variant"),
        func.min(_shown.at).label("since"),
        func.count().label("variants"),
    )
    .where(_shown.flag == bindparam("flag"))
    .group_by(_shown.targeting_key)
    .subquery()
)
TALLY = Query(
    select(
        (_PEOPLE.c.variants > 1).label("mixed"),
        _PEOPLE.c.variant,
        func.count(),
        func.sum(case((_done.at >= _PEOPLE.c.since, 1), else_=0)),
    )
    .select_from(
        _PEOPLE.outerjoin(
            experiment_conversions,
            and_(
                _done.flag == bindparam("flag"),
                _done.metric == bindparam("metric"),
                _done.targeting_key == _PEOPLE.c.targeting_key,
            ),
        )
    )
    .group_by("mixed", _PEOPLE.c.variant)
    .order_by(_PEOPLE.c.variant),
    lagging=True,
)
METRICS = Query(
    select(_done.metric).where(_done.flag == bindparam("flag")).distinct().order_by(_done.metric), lagging=True
)


class SqlExperiments(Room):
    """See :class:`ExperimentStore`."""

    async def expose(self, exposures: Sequence[Exposure]) -> None:
        """See :meth:`ExperimentStore.expose`."""
        earliest: dict[tuple[str, str, str], Exposure] = {}
        for one in exposures:
            key = (one.flag, one.targeting_key, one.variant)
            if key not in earliest or one.at < earliest[key].at:
                earliest[key] = one
        rows = [
            {"flag": one.flag, "targeting_key": one.targeting_key, "variant": one.variant, "at": one.at}
            for _, one in sorted(earliest.items())
        ]
        database = self._ready()
        if not rows:
            return
        async with database.writing() as connection:
            insert = _upsert.insert(connection.dialect.name, experiment_exposures)
            statement = insert.on_conflict_do_update(
                index_elements=["flag", "targeting_key", "variant"],
                set_={"at": insert.excluded.at},
                where=insert.excluded.at < _shown.at,
            )
            for first in range(0, len(rows), MOST_ROWS):
                await connection.execute(statement, rows[first : first + MOST_ROWS])

    async def convert(self, conversions: Sequence[Conversion]) -> None:
        """See :meth:`ExperimentStore.convert`."""
        latest: dict[tuple[str, str, str], Conversion] = {}
        for one in conversions:
            key = (one.flag, one.metric, one.targeting_key)
            if key not in latest or one.at > latest[key].at:
                latest[key] = one
        rows = [
            {"flag": one.flag, "metric": one.metric, "targeting_key": one.targeting_key, "at": one.at}
            for _, one in sorted(latest.items())
        ]
        database = self._ready()
        if not rows:
            return
        async with database.writing() as connection:
            insert = _upsert.insert(connection.dialect.name, experiment_conversions)
            statement = insert.on_conflict_do_update(
                index_elements=["flag", "metric", "targeting_key"],
                set_={"at": insert.excluded.at},
                where=insert.excluded.at > _done.at,
            )
            for first in range(0, len(rows), MOST_ROWS):
                await connection.execute(statement, rows[first : first + MOST_ROWS])

    async def metrics(self, flag: str) -> Sequence[str]:
        """See :meth:`ExperimentStore.metrics`."""
        return [str(row[0]) for row in await self._ready().fetch(METRICS, {"flag": flag})]

    async def tally(self, flag: str, metric: str) -> Tallies:
        """See :meth:`ExperimentStore.tally`."""
        rows = await self._ready().fetch(TALLY, {"flag": flag, "metric": metric})
        return Tallies(
            variants=tuple(
                Tally(variant=variant, exposed=int(exposed), converted=int(converted))
                for mixed, variant, exposed, converted in rows
                if not mixed
            ),
            mixed=sum(int(exposed) for mixed, _, exposed, _ in rows if mixed),
        )


_: type[ExperimentStore] = SqlExperiments
