"""Everything that TradeSense measures of itself, named after OpenTelemetry's semantic conventions."""

from __future__ import annotations

from tradesense.core.telemetry.models import Instrument, Kind

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HTTP_REQUEST_DURATION = Instrument(
    name="http.server.request.duration",
    kind=Kind.HISTOGRAM,
    description="How long requests took, by route template.",
    unit="s",
    labels=("http_request_method", "http_route", "http_response_status_code"),
    buckets=SECONDS,
)
HTTP_ACTIVE_REQUESTS = Instrument(
    name="http.server.active_requests",
    kind=Kind.GAUGE,
    description="Requests being answered now.",
)
JOB_DURATION = Instrument(
    name="tradesense.job.duration",
    kind=Kind.HISTOGRAM,
    description="How long jobs took, by name and outcome.",
    unit="s",
    labels=("job", "outcome"),
    buckets=SECONDS,
)
JOBS_RELAYED = Instrument(
    name="tradesense.jobs.relayed",
    kind=Kind.COUNTER,
    description="Jobs handed from the outbox to the queue, by whether it took them or knew them already.",
    labels=("outcome",),
)
DATABASE_CONNECTIONS = Instrument(
    name="db.client.connection.count",
    kind=Kind.GAUGE,
    description="Open connections of a pool to the database, by whether somebody uses them.",
    labels=("pool", "state"),
)
DATABASE_CONNECTIONS_MOST = Instrument(
    name="db.client.connection.max",
    kind=Kind.GAUGE,
    description="The connections that a pool may open.",
    labels=("pool",),
)
DATABASE_CONNECTIONS_OVERFLOW = Instrument(
    name="tradesense.database.connections.overflow",
    kind=Kind.GAUGE,
    description="Open connections beyond those that a pool keeps.",
    labels=("pool",),
)
DATABASE_POOL_WAIT = Instrument(
    name="db.client.connection.wait_time",
    kind=Kind.HISTOGRAM,
    description="How long those who found no idle connection waited for one, or for its making.",
    unit="s",
    labels=("pool",),
    buckets=SECONDS,
)
DATABASE_POOL_TIMEOUTS = Instrument(
    name="db.client.connection.timeouts",
    kind=Kind.COUNTER,
    description="How often no connection became free in time.",
    labels=("pool",),
)
LOGINS = Instrument(
    name="tradesense.identity.logins",
    kind=Kind.COUNTER,
    description="Attempts to log in, by outcome.",
    labels=("outcome",),
)
LIMITER_FALLBACKS = Instrument(
    name="tradesense.limiter.fallbacks",
    kind=Kind.COUNTER,
    description="Decisions made by the local limit because the shared one did not answer.",
    labels=("policy",),
)
LIMITER_DECISIONS = Instrument(
    name="tradesense.limiter.decisions",
    kind=Kind.COUNTER,
    description="Decisions of rate limits, by policy and outcome: allowed, refused or, of one that only looks on, "
    "shadow-refused.",
    labels=("policy", "outcome"),
)
FLAG_EVALUATIONS = Instrument(
    name="feature_flag.evaluations",
    kind=Kind.COUNTER,
    description="Flag evaluations, by reason.",
    labels=("reason",),
)

CACHE_EVENTS = Instrument(
    name="tradesense.cache.events",
    kind=Kind.COUNTER,
    description="What the cache did: hits, misses, stale values, factories, their failures and time-outs.",
    labels=("event",),
)
CACHE_EVICTIONS = Instrument(
    name="tradesense.cache.evictions",
    kind=Kind.COUNTER,
    description="Entries that had to leave the first level for others.",
)
CACHE_NEAR_ENTRIES = Instrument(
    name="tradesense.cache.near.entries",
    kind=Kind.GAUGE,
    description="Entries in the first level.",
)
CACHE_NEAR_BYTES = Instrument(
    name="tradesense.cache.near.size",
    kind=Kind.GAUGE,
    description="Bytes that the first level holds.",
    unit="By",
)
CACHE_PENDING = Instrument(
    name="tradesense.cache.pending",
    kind=Kind.GAUGE,
    description="Changes that the shared store or the other processes are still to be told of.",
)
CACHE_BACKEND_UP = Instrument(
    name="tradesense.cache.backend.up",
    kind=Kind.GAUGE,
    description="1 while the shared store and the backplane answer, 0 while the cache goes on in the process alone.",
)
EVENTS_PUBLISHED = Instrument(
    name="tradesense.events.published",
    kind=Kind.COUNTER,
    description="Events that topics have taken.",
)
EVENTS_HANDLED = Instrument(
    name="tradesense.events.handled",
    kind=Kind.COUNTER,
    description="Events handed to consumer groups, by outcome: done, failed, to be tried again, or dead.",
    labels=("topic", "group", "outcome"),
)
EVENT_LISTENERS = Instrument(
    name="tradesense.events.listeners",
    kind=Kind.GAUGE,
    description="Streams that events are pushed on.",
)
EVENT_LISTENERS_ENDED = Instrument(
    name="tradesense.events.listeners.ended",
    kind=Kind.COUNTER,
    description="Streams that were ended from this side: slow clients were dropped, closing servers let go.",
    labels=("reason",),
)
ROTATIONS = Instrument(
    name="tradesense.secrets.rotations",
    kind=Kind.COUNTER,
    description="Rotations of secrets, by how they ended.",
    labels=("outcome",),
)
ROTATIONS_OVERDUE = Instrument(
    name="tradesense.secrets.rotations.overdue",
    kind=Kind.GAUGE,
    description="Secrets that should have been rotated.",
)

ALL = (
    HTTP_REQUEST_DURATION,
    HTTP_ACTIVE_REQUESTS,
    JOB_DURATION,
    JOBS_RELAYED,
    DATABASE_CONNECTIONS,
    DATABASE_CONNECTIONS_MOST,
    DATABASE_CONNECTIONS_OVERFLOW,
    DATABASE_POOL_WAIT,
    DATABASE_POOL_TIMEOUTS,
    LOGINS,
    LIMITER_FALLBACKS,
    LIMITER_DECISIONS,
    FLAG_EVALUATIONS,
    CACHE_EVENTS,
    CACHE_EVICTIONS,
    CACHE_NEAR_ENTRIES,
    CACHE_NEAR_BYTES,
    CACHE_PENDING,
    CACHE_BACKEND_UP,
    EVENTS_PUBLISHED,
    EVENTS_HANDLED,
    EVENT_LISTENERS,
    EVENT_LISTENERS_ENDED,
    ROTATIONS,
    ROTATIONS_OVERDUE,
)
