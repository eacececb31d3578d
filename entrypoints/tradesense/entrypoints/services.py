"""What the composition root hands over: plain objects, open and ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.audit.service import AuditTrail
from tradesense.core.cache.coordination import Coordination
from tradesense.core.cache.events import Events
from tradesense.core.cache.fanout import EventHub
from tradesense.core.cache.limits import Throttle
from tradesense.core.cache.ports import Fences, LockProvider, RateLimiter, Topics
from tradesense.core.cache.service import HybridCache
from tradesense.core.config.service import RuntimeSettings
from tradesense.core.flags.experiments.service import Experiments
from tradesense.core.flags.service import Flags
from tradesense.core.identity.accounts import Accounts
from tradesense.core.identity.actions import Actions
from tradesense.core.identity.addresses import Addresses
from tradesense.core.identity.apikeys import ApiKeys
from tradesense.core.identity.browsers import KnownBrowsers
from tradesense.core.identity.credentials import Credentials
from tradesense.core.identity.csrf import CsrfTokens
from tradesense.core.identity.devices import Devices
from tradesense.core.identity.introspection import Introspection
from tradesense.core.identity.ports import TokenSigner
from tradesense.core.identity.recognition import Recognition
from tradesense.core.identity.returning import Returns
from tradesense.core.identity.roles import Roles
from tradesense.core.identity.sessions import Sessions
from tradesense.core.identity.tokens import Tokens
from tradesense.core.identity.webhooks import Webhooks
from tradesense.core.jobs.relay import Relay
from tradesense.core.jobs.service import Jobs
from tradesense.core.secrets.keys import Keys
from tradesense.core.secrets.rotation import Rotation
from tradesense.core.secrets.service import Secrets
from tradesense.core.secrets.watch import Watch
from tradesense.core.telemetry.ports import AlertNotifier, ErrorReporter, Scrapable
from tradesense.core.telemetry.service import FanOut, HealthService
from tradesense.core.transactions import Transactions
from tradesense.entrypoints.anchors import Anchors
from tradesense.plugins.manager import Plugins
from tradesense.settings.schema import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The platform's objects, open and ready. The names are those of ``container.Platform``."""

    settings: Settings
    plugins: Plugins
    bindings: Mapping[str, str]
    """Port to what stands behind it, as in ``secrets.SecretStore`` to ``vault (tradesense 0.1.0)``."""
    clock: Clock
    random: Random
    ids: Ids
    transactions: Transactions
    trail: AuditTrail
    anchors: Anchors
    accounts: Accounts
    actions: Actions
    addresses: Addresses
    credentials: Credentials
    returns: Returns
    browsers: KnownBrowsers
    sessions: Sessions
    recognition: Recognition
    devices: Devices
    api_keys: ApiKeys
    roles: Roles
    introspection: Introspection
    webhooks: Webhooks
    tokens: Tokens
    signer: TokenSigner
    csrf: CsrfTokens
    secrets: Secrets
    keys: Keys
    rotation: Rotation
    watch: Watch
    cache: HybridCache
    locks: LockProvider
    fences: Fences
    coordination: Coordination
    limiter: RateLimiter
    throttle: Throttle
    topics: Topics
    events: Events
    hub: EventHub
    flags: Flags
    experiments: Experiments
    config: RuntimeSettings
    jobs: Jobs
    relay: Relay
    telemetry: FanOut
    scrape: Scrapable | None
    errors: ErrorReporter
    alerts: AlertNotifier
    health: HealthService
