"""Flag definitions, segments and exposures in tables."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert

from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._definitions import SqlDefinitions, Statements
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._tables import exposures, flag_revisions, flags, segment_revisions, segments
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.ambient import Clock
from tradesense.core.flags.kinds import FLAG, SEGMENT
from tradesense.core.flags.models import Exposure, Flag, Segment, StoredFlag, StoredSegment
from tradesense.core.flags.ports import ExposureSink, WritableFlagStore, WritableSegmentStore
from tradesense.plugins.manifest import AdapterContext

FLAGS = Statements.of(flags, flag_revisions)
SEGMENTS = Statements.of(segments, segment_revisions)
_EXPOSE = insert(exposures)


class SqlFlagStore(SqlDefinitions[Flag, StoredFlag]):
    """See :class:`WritableFlagStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        super().__init__(database, clock=clock, kind=FLAG, statements=FLAGS)


class SqlSegmentStore(SqlDefinitions[Segment, StoredSegment]):
    """See :class:`WritableSegmentStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        super().__init__(database, clock=clock, kind=SEGMENT, statements=SEGMENTS)


class SqlExposureSink(Room):
    """See :class:`ExposureSink`."""

    async def record(self, exposures: Sequence[Exposure]) -> None:
        """See :meth:`ExposureSink.record`."""
        database = self._ready()
        if not exposures:
            return
        rows = [
            {"flag": one.flag, "variant": one.variant, "targeting_key": one.targeting_key, "at": one.at}
            for one in exposures
        ]
        async with database.writing() as connection:
            await connection.execute(_EXPOSE, rows)


def flag_store(settings: SqlSettings, context: AdapterContext) -> SqlFlagStore:
    """The factory of the flags, which the manifest names."""
    return SqlFlagStore(database_of(settings, context), clock=context.clock)


def segment_store(settings: SqlSettings, context: AdapterContext) -> SqlSegmentStore:
    """The factory of the segments, which the manifest names."""
    return SqlSegmentStore(database_of(settings, context), clock=context.clock)


def exposure_sink(settings: SqlSettings, context: AdapterContext) -> SqlExposureSink:
    """The factory of the sink, which the manifest names."""
    return SqlExposureSink(database_of(settings, context))


_: type[WritableFlagStore] = SqlFlagStore
_segments: type[WritableSegmentStore] = SqlSegmentStore
_sink: type[ExposureSink] = SqlExposureSink
