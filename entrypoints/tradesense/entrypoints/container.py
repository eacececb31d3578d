"""The composition root: the one place that decides which adapter stands behind which port.

HTTP, the command line and the worker all enter :func:`open_container` and get the same plain objects; nothing asks a
container or a plugin for anything after that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields
from typing import Any

from dependency_injector import containers, providers

from tradesense.core.ambient import Clock
from tradesense.core.audit.service import AuditTrail
from tradesense.core.cache.ports import LockProvider, RateLimiter
from tradesense.core.config.ports import SettingsStore
from tradesense.core.config.service import RuntimeSettings
from tradesense.core.flags.ports import ExposureSink, FlagStore
from tradesense.core.flags.service import Flags
from tradesense.core.identity.accounts import Accounts
from tradesense.core.identity.ports import BreachedPasswords, IdentityStore, Messenger, PasswordHasher, TokenSigner
from tradesense.core.identity.sessions import Sessions
from tradesense.core.identity.tokens import Tokens
from tradesense.core.jobs.ports import JobQueue
from tradesense.core.jobs.service import Jobs, Periodic
from tradesense.core.secrets.service import Secrets
from tradesense.core.telemetry.ports import AlertNotifier, ErrorReporter
from tradesense.core.telemetry.service import HealthService
from tradesense.core.transactions import Transactions
from tradesense.entrypoints import parts
from tradesense.entrypoints.adapters import Adapters
from tradesense.entrypoints.services import Services
from tradesense.plugins.manager import Plugins, load
from tradesense.settings.references import references, substituted
from tradesense.settings.schema import Settings

SWEEP_SECONDS = 60.0


class Platform(containers.DeclarativeContainer):
    """What every object is made of. Each is made once, before anything is opened."""

    adapters = providers.Dependency(instance_of=Adapters)
    settings = providers.Dependency(instance_of=Settings)
    clock, random, ids = adapters.provided.clock, adapters.provided.random, adapters.provided.ids
    policy = settings.provided.identity.policy

    telemetry = providers.Singleton(parts.fan_out, adapters, settings)
    scrape = providers.Singleton(parts.scrapable, adapters, settings)
    errors = providers.Singleton(parts.chosen, adapters, settings, ErrorReporter, "telemetry.errors")
    alerts = providers.Singleton(parts.chosen, adapters, settings, AlertNotifier, "telemetry.alerts")

    transactions = providers.Singleton(parts.chosen, adapters, settings, Transactions, "audit.provider")
    chain = providers.Singleton(parts.audit_chain, adapters, settings)
    log = providers.Singleton(parts.audit_log, adapters, settings, chain)
    trail = providers.Singleton(AuditTrail, log=log, chain=chain, transactions=transactions)

    secrets = providers.Singleton(
        Secrets, provider=providers.Singleton(parts.secrets_provider, adapters, settings), trail=trail
    )
    cache = providers.Singleton(parts.hybrid_cache, adapters, settings)
    locks = providers.Singleton(parts.chosen, adapters, settings, LockProvider, "cache.locks")
    limiter = providers.Singleton(parts.chosen, adapters, settings, RateLimiter, "cache.limiter")
    throttle = providers.Singleton(parts.throttle, adapters, limiter, telemetry)
    queue = providers.Singleton(parts.chosen, adapters, settings, JobQueue, "jobs.provider")
    jobs = providers.Singleton(Jobs, queue=queue, ids=ids, clock=clock, telemetry=telemetry)

    flags = providers.Singleton(
        Flags,
        store=providers.Singleton(parts.chosen, adapters, settings, FlagStore, "flags.provider"),
        trail=trail,
        clock=clock,
        joined=providers.Singleton(parts.joins, adapters, settings, FlagStore, "flags.provider"),
        refresh=settings.provided.flags.refresh,
    )
    exposures = providers.Singleton(parts.chosen, adapters, settings, ExposureSink, "flags.exposures")
    config = providers.Singleton(
        RuntimeSettings,
        store=providers.Singleton(parts.chosen, adapters, settings, SettingsStore, "config.provider"),
        trail=trail,
        joined=providers.Singleton(parts.joins, adapters, settings, SettingsStore, "config.provider"),
    )

    store = providers.Singleton(parts.chosen, adapters, settings, IdentityStore, "identity.provider")
    identity_joins = providers.Singleton(parts.joins, adapters, settings, IdentityStore, "identity.provider")
    hasher = providers.Singleton(parts.chosen, adapters, settings, PasswordHasher, "identity.hasher")
    signer = providers.Singleton(parts.chosen, adapters, settings, TokenSigner, "identity.signer")
    csrf = providers.Singleton(parts.csrf_tokens, adapters, settings)
    accounts = providers.Singleton(
        Accounts,
        store=store,
        hasher=hasher,
        breached=providers.Singleton(parts.chosen, adapters, settings, BreachedPasswords, "identity.breached"),
        trail=trail,
        jobs=jobs,
        messenger=providers.Singleton(parts.chosen, adapters, settings, Messenger, "identity.messenger"),
        clock=clock,
        ids=ids,
        policy=policy,
        joined=identity_joins,
    )
    tokens = providers.Singleton(
        Tokens,
        store=store,
        signer=signer,
        trail=trail,
        clock=clock,
        random=random,
        ids=ids,
        policy=policy,
        joined=identity_joins,
    )
    sessions = providers.Singleton(
        Sessions,
        store=store,
        hasher=hasher,
        signer=signer,
        throttle=throttle,
        trail=trail,
        telemetry=telemetry,
        clock=clock,
        random=random,
        ids=ids,
        policy=policy,
        joined=identity_joins,
    )


@asynccontextmanager
async def open_container(
    settings: Settings, *, plugins: Plugins | None = None, clock: Clock | None = None
) -> AsyncGenerator[Services]:
    """Build and open everything that ``settings`` choose; close it in reverse order on leaving.

    :param plugins: already loaded ones; else those of this environment, by the allow-list.
    :param clock: in place of the system's, for tests of time.
    :raises ConfigurationError: the platform cannot start as it is set up.
    :raises Unavailable: a dependency that must be there at the start is not.
    """
    plugins = plugins or load(allow=settings.plugins.allow, optional=settings.plugins.optional)
    settings = await _resolved(settings, plugins)
    adapters = Adapters(settings, plugins, clock=clock)
    platform = Platform(adapters=adapters, settings=settings)
    ready: dict[str, Any] = {"settings": settings, "plugins": plugins, "bindings": adapters.bindings}
    ready |= {name: getattr(platform, name)() for name in _names() if name not in {*ready, "health"}}
    jobs: Jobs = ready["jobs"]
    jobs.every(Periodic(name="identity.sweep", every=SWEEP_SECONDS, run=ready["sessions"].sweep))
    async with AsyncExitStack() as stack:
        await adapters.open(stack)
        yield Services(health=HealthService(adapters.context.checks), **ready)


async def _resolved(settings: Settings, plugins: Plugins) -> Settings:
    """The settings with every ``secret://`` reference replaced by the secret that it names."""
    paths = references(settings)
    if not paths:
        return settings
    adapters = Adapters(settings, plugins)
    adapters.context.chain = parts.audit_chain(adapters, settings)
    provider = parts.secrets_provider(adapters, settings)
    async with AsyncExitStack() as stack:
        await adapters.open(stack)
        return substituted(settings, {path: (await provider.store.get(path)).value for path in paths})


def _names() -> tuple[str, ...]:
    return tuple(field.name for field in fields(Services))
