"""Flag definitions, segments and what experiments count, in tables."""

from __future__ import annotations

from tradesense.adapters.sql._changes import SqlChanges
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._definitions import SqlDefinitions, Statements
from tradesense.adapters.sql._experiments import SqlExperiments
from tradesense.adapters.sql._room import database_of
from tradesense.adapters.sql._tables import flag_revisions, flags, segment_revisions, segments
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.ambient import Clock
from tradesense.core.flags.kinds import FLAG, SEGMENT
from tradesense.core.flags.models import Flag, Segment, StoredFlag, StoredSegment
from tradesense.core.flags.ports import WritableFlagStore, WritableSegmentStore
from tradesense.plugins.manifest import AdapterContext

FLAGS = Statements.of(flags, flag_revisions)
SEGMENTS = Statements.of(segments, segment_revisions)


class SqlFlagStore(SqlDefinitions[Flag, StoredFlag]):
    """See :class:`WritableFlagStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        super().__init__(database, clock=clock, kind=FLAG, statements=FLAGS)


class SqlSegmentStore(SqlDefinitions[Segment, StoredSegment]):
    """See :class:`WritableSegmentStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        super().__init__(database, clock=clock, kind=SEGMENT, statements=SEGMENTS)


def flag_store(settings: SqlSettings, context: AdapterContext) -> SqlFlagStore:
    """The factory of the flags, which the manifest names."""
    return SqlFlagStore(database_of(settings, context), clock=context.clock)


def segment_store(settings: SqlSettings, context: AdapterContext) -> SqlSegmentStore:
    """The factory of the segments, which the manifest names."""
    return SqlSegmentStore(database_of(settings, context), clock=context.clock)


def change_store(settings: SqlSettings, context: AdapterContext) -> SqlChanges:
    """The factory of the changes that wait, which the manifest names."""
    return SqlChanges(database_of(settings, context))


def experiment_store(settings: SqlSettings, context: AdapterContext) -> SqlExperiments:
    """The factory of what experiments count, which the manifest names."""
    return SqlExperiments(database_of(settings, context))


_: type[WritableFlagStore] = SqlFlagStore
_segments: type[WritableSegmentStore] = SqlSegmentStore
