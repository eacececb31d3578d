"""Every setting that is fixed at start, as frozen Structs. A field's docstring is its documentation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from tradesense.core.cache.options import EntryOptions
from tradesense.core.sensitive import Secret
from tradesense.settings.base import Environment, Name, Port, Positive, Ratio, Section
from tradesense.settings.identity import IdentitySettings


class LimitSettings(Section, frozen=True, kw_only=True):
    """``[http.limits.NAME]``: how many requests of one caller are answered."""

    count: Annotated[int, Meta(ge=1, le=10_000_000)]
    """At most so many within any ``period``."""
    period: Annotated[float, Meta(ge=0.001, le=2_678_400)]
    """Seconds."""
    by: Literal["address", "user", "api-key"] = "address"
    """Who is one caller: an address (of IPv6 its /64), a user, or the session or key that was used to authenticate.

    Who is not authenticated counts by address.
    """
    routes: tuple[str, ...] = ()
    """Path templates, as in ``/api/v1/flags/{key}``, with a method before them if only one is meant; or the names that
    routes are grouped by in ``/schema/openapi.json``, as in ``flags``. All routes when empty."""
    cost: Annotated[int, Meta(ge=1, le=10_000)] = 1
    """What one request counts for."""
    fail: Literal["closed", "open", "stricter"] = "stricter"
    """When the shared count is away: answer nobody (503), everybody, or count in each process to a quarter."""
    shadow: bool = False
    """Count and measure, and refuse nobody."""


class HttpSettings(Section, frozen=True, kw_only=True):
    """``[http]``: the server."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Port = 8000
    """The port to listen on; 0 picks a free one."""
    processes: Positive = 1
    """How many processes answer."""
    base_url: str = ""
    """The address that clients use, without a trailing slash; from host and port when empty."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names that requests may name; those of ``base_url`` and loopback when empty."""
    allowed_origins: tuple[str, ...] = ()
    """Other origins whose pages may call with credentials, exactly as browsers send them."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks, in CIDR form, whose ``X-Forwarded-For`` is believed."""
    answer_within: Annotated[float, Meta(ge=0, le=3_600)] = 0.0
    """Seconds until an answer must have begun; a handler that takes longer is cancelled, and the answer is 503.
    No bound at 0."""
    max_body: Annotated[int, Meta(ge=1_024, le=1_073_741_824)] = 1_000_000
    """Bytes of a request's body."""
    max_json_depth: Annotated[int, Meta(ge=1, le=512)] = 64
    """How deep JSON may nest."""
    limits: dict[Name, LimitSettings] = {}
    """Rate limits by name, each a section ``[http.limits.NAME]``."""


class RotationSettings(Section, frozen=True, kw_only=True):
    """``[secrets.rotation.NAME]``: how one secret is rotated by the worker."""

    path: str
    """The secret's path."""
    every: Annotated[float, Meta(ge=60, le=315_360_000)]
    """Seconds from one version to the next."""
    rotator: str = "password"
    """Who changes the credential: a ``Rotator``."""
    options: dict[str, str] = {}
    """What the rotator is told, such as ``roles``."""


class SecretsSettings(Section, frozen=True, kw_only=True):
    """``[secrets]``: the secrets provider."""

    provider: str = "memory"
    """Who keeps secrets: a ``SecretStore``."""
    chain: tuple[str, ...] = ()
    """In place of ``provider``: several, read in this order. Only "there is none" goes on to the next. Read-only."""
    key_encryption: str = "local"
    """Who wraps data keys for providers that keep ciphertext: a ``KeyEncryption``."""
    namespace: str = "tradesense"
    """This deployment's name; ciphertext of another namespace does not open."""
    cache_ttl: Annotated[float, Meta(ge=0, le=60)] = 5.0
    """Seconds that a process goes on answering with what another server said; 0 asks it each time."""
    max_stale: Annotated[float, Meta(ge=0, le=3600)] = 300.0
    """Seconds that the last answer is given, marked as stale, while the provider is away."""
    watch_every: Annotated[float, Meta(ge=0.05, le=3600)] = 5.0
    """Seconds between two looks at secrets that settings refer to, for who must take a new value while it runs."""
    rotation: dict[Name, RotationSettings] = {}
    """Secrets that are rotated, each by a section ``[secrets.rotation.NAME]``."""


class CacheSettings(Section, frozen=True, kw_only=True):
    """``[cache]``: the shared cache and coordination."""

    provider: str = "memory"
    """The shared ``CacheStore``."""
    backplane: str = "memory"
    """The ``Backplane`` between processes."""
    locks: str = "memory"
    """The ``LockProvider``."""
    limiter: str = "memory"
    """The ``RateLimiter``."""
    topics: str = "memory"
    """Who keeps what is published on topics: a ``Topics``."""
    near_ttl: Annotated[float, Meta(gt=0, le=60)] = 1.0
    """Seconds that a process serves its own copy without asking."""
    near_entries: Positive = 10_000
    """Entries that a process keeps copies of."""
    near_bytes: Annotated[int, Meta(ge=65_536)] = 67_108_864
    """Bytes that these copies take together."""
    compressor: str = "zlib"
    """The ``Compressor`` of large values in the shared store. What another one has packed is a miss, but for zlib."""
    compress_over: Annotated[int, Meta(ge=64)] = 4_096
    """Bytes from which on a value is compressed in the shared store."""
    recovery_entries: Positive = 10_000
    """Changes that a process remembers for the shared store while that is away."""
    recovery_bytes: Annotated[int, Meta(ge=65_536)] = 67_108_864
    """Bytes that these changes take together."""
    options: EntryOptions = EntryOptions()
    """How entries are kept, unless their named cache says otherwise."""
    named: dict[str, EntryOptions] = {}
    """How the entries of one named cache are kept: ``[cache.named.NAME]`` holds what ``[cache.options]`` may."""


class EventsSettings(Section, frozen=True, kw_only=True):
    """``[events]``: topics, and their events pushed to browsers."""

    retain: Annotated[int, Meta(ge=1, le=10_000_000)] = 10_000
    """Events that a topic keeps at least, for those who come back and for groups that are behind."""
    retain_for: Annotated[float, Meta(ge=0, le=315_360_000)] = 0.0
    """Seconds after which a topic's events are removed, however few there are; 0 for never."""
    dead_for: Annotated[float, Meta(ge=0, le=315_360_000)] = 2_592_000.0
    """Seconds after which dead letters are removed; 0 for never."""
    attempts: Annotated[int, Meta(ge=1, le=100)] = 5
    """How often an event is handed to a consumer group before it is a dead letter."""
    retry: Annotated[float, Meta(ge=1, le=86_400)] = 30.0
    """Seconds after which an event that was not acknowledged is handed out again."""
    heartbeat: Annotated[float, Meta(ge=1, le=300)] = 15.0
    """Seconds of silence after which a client is told that the connection stands."""
    recheck: Annotated[float, Meta(ge=0.5, le=60)] = 5.0
    """Seconds after which an open stream's session is looked at again; before an event is delivered, one second."""
    buffer: Annotated[int, Meta(ge=1, le=100_000)] = 256
    """Events that may wait for a client that takes them slowly; with more it is dropped."""
    buffer_bytes: Annotated[int, Meta(ge=65_536)] = 1_048_576
    """Bytes of them, likewise."""
    streams: Positive = 1_000
    """Streams of one process."""
    streams_per_caller: Positive = 16
    """Streams of one session in one process."""


class FlagsSettings(Section, frozen=True, kw_only=True):
    """``[flags]``: feature flags."""

    provider: str = "memory"
    """Who keeps flags: a ``FlagStore``."""
    exposures: str = "memory"
    """Who keeps exposures and conversions of experiments: an ``ExperimentStore``."""
    refresh: Annotated[float, Meta(gt=0, le=60)] = 0.5
    """Seconds until a change made by another process is seen."""
    review: bool = False
    """Whether a change of a flag or a segment needs the approval of a second person; the kill switch never does."""


class ConfigSettings(Section, frozen=True, kw_only=True):
    """``[config]``: runtime settings."""

    provider: str = "memory"
    """Who keeps runtime settings: a ``SettingsStore``."""


class AuditSettings(Section, frozen=True, kw_only=True):
    """``[audit]``: the audit trail."""

    provider: str = "memory"
    """Who keeps the trail: an ``AuditLog``."""
    key: Secret = Secret("")
    """At least 32 bytes that the hash chain is made with."""
    anchor_file: str = ""
    """A file outside the database that is told every minute where the trail ends, for a trail that is kept; none when
    empty."""


class JobsSettings(Section, frozen=True, kw_only=True):
    """``[jobs]``: background work."""

    provider: str = "memory"
    """The ``JobQueue``."""
    outbox: str = "memory"
    """Where jobs wait for the queue, written with the change that causes them: an ``Outbox``."""
    embedded: bool = True
    """Whether the HTTP process does jobs as well; needed where the queue is in memory."""


class TelemetrySettings(Section, frozen=True, kw_only=True):
    """``[telemetry]``: metrics, traces, logs."""

    metrics: str = "prometheus"
    """Who records metrics: a ``Telemetry``; ``null`` for nobody."""
    traces: str = "null"
    """Who records spans: a ``Telemetry``; ``null`` for nobody."""
    errors: str = "null"
    """Who is told of unhandled errors: an ``ErrorReporter``."""
    alerts: str = "null"
    """Who is told of alerts: an ``AlertNotifier``."""
    sample_ratio: Ratio = 0.01
    """The part of new traces that is recorded; a caller's own decision is followed."""
    public_metrics: bool | None = None
    """Whether anyone may read ``/metrics``; when nobody says, only in development and testing."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is logged."""
    log_format: Literal["json", "console"] = "json"
    """One JSON object a line, or coloured text for a person."""


class PluginSettings(Section, frozen=True, kw_only=True):
    """``[plugins]``: which plugins are loaded."""

    allow: tuple[str, ...] = ()
    """The names to load, all when empty. ``TRADESENSE_PLUGINS`` sets it."""
    optional: tuple[str, ...] = ()
    """Names whose failure is noted instead of ending the start."""


class Settings(Section, frozen=True, kw_only=True):
    """The whole."""

    environment: Environment = "development"
    """Which of the environments this is. ``ENVIRONMENT`` sets it."""
    debug: bool = False
    """Whether details of errors are shown; refused in production."""
    state_dir: str = "var"
    """The folder for what a development server makes for itself: database and keys."""
    http: HttpSettings = HttpSettings()
    identity: IdentitySettings = IdentitySettings()
    secrets: SecretsSettings = SecretsSettings()
    cache: CacheSettings = CacheSettings()
    events: EventsSettings = EventsSettings()
    flags: FlagsSettings = FlagsSettings()
    config: ConfigSettings = ConfigSettings()
    audit: AuditSettings = AuditSettings()
    jobs: JobsSettings = JobsSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    plugins: PluginSettings = PluginSettings()
    adapters: dict[str, dict[str, Any]] = {}
    """The sections of adapters by their dotted name, as in ``database``, ``redis`` or ``secrets.vault``.

    Each is validated against the ``settings`` Struct of the adapter that is chosen.
    """
