"""The composition root: the one place that decides which adapter stands behind which port.

HTTP, the command line and the worker all enter :func:`open_container` and get the same plain objects; nothing asks a
container or a plugin for anything after that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields
from typing import Any

from dependency_injector import containers
from dependency_injector.providers import Dependency, Singleton

from tradesense.core.ambient import Clock
from tradesense.core.cache.coordination import Coordination
from tradesense.core.cache.ports import Fences
from tradesense.core.config.service import RuntimeSettings
from tradesense.core.flags.experiments.service import Experiments
from tradesense.core.flags.service import Flags
from tradesense.core.identity.accounts import Accounts
from tradesense.core.identity.actions import Actions
from tradesense.core.identity.addresses import Addresses
from tradesense.core.identity.apikeys import ApiKeys
from tradesense.core.identity.attempts import Attempts
from tradesense.core.identity.credentials import Credentials
from tradesense.core.identity.devices import Devices
from tradesense.core.identity.introspection import Introspection
from tradesense.core.identity.mailing import Mailing
from tradesense.core.identity.passwords import Passwords
from tradesense.core.identity.recognition import Recognition
from tradesense.core.identity.roles import Roles
from tradesense.core.identity.sessions import Sessions
from tradesense.core.identity.signatures import WebhookSecrets
from tradesense.core.identity.tokens import Tokens
from tradesense.core.identity.webhooks import Webhooks
from tradesense.core.jobs.relay import Relay
from tradesense.core.jobs.service import Jobs, Periodic
from tradesense.core.secrets.service import Secrets
from tradesense.core.telemetry.service import HealthService
from tradesense.core.transactions import Transactions
from tradesense.entrypoints import flagging, members, parts, rotating
from tradesense.entrypoints.adapters import Adapters
from tradesense.entrypoints.anchors import Anchors
from tradesense.entrypoints.services import Services
from tradesense.plugins.manager import Plugins, load
from tradesense.settings.schema import Settings


class Platform(containers.DeclarativeContainer):
    """What every object is made of. Each is made once, before anything is opened."""

    adapters, settings = Dependency(instance_of=Adapters), Dependency(instance_of=Settings)
    clock, random, ids = adapters.provided.clock, adapters.provided.random, adapters.provided.ids
    chosen = parts.making(parts.chosen, adapters, settings)
    joins = parts.making(parts.joins, adapters, settings)

    telemetry = Singleton(parts.fan_out, adapters, settings)
    scrape = Singleton(parts.scrapable, adapters, settings)
    errors, alerts = chosen("telemetry.errors"), chosen("telemetry.alerts")

    transactions = chosen("audit.provider", Transactions)
    chain = Singleton(parts.audit_chain, adapters, settings)
    log = Singleton(parts.audit_log, adapters, settings, chain)
    trail = Singleton(parts.audit_trail, adapters, log=log, chain=chain, transactions=transactions)

    provider = Singleton(parts.secrets_provider, adapters, settings)
    reads = Singleton(rotating.reads, adapters, settings, provider)
    watch = Singleton(rotating.watch, settings, provider)
    secrets = Singleton(Secrets, provider=provider, trail=trail, reads=reads)
    keys = Singleton(parts.keys, adapters, settings, provider, trail)
    locks, limiter, queue = chosen("cache.locks"), chosen("cache.limiter"), chosen("jobs.provider")
    fences = chosen("audit.provider", Fences)
    coordination = Singleton(Coordination, locks=locks, fences=fences, random=random)
    rotation = Singleton(
        rotating.rotation,
        adapters,
        settings,
        provider,
        coordination=coordination,
        transactions=transactions,
        trail=trail,
        telemetry=telemetry,
        alerts=alerts,
        reads=reads,
        watch=watch,
    )
    topics = chosen("cache.topics")
    events = Singleton(parts.events, adapters, settings, topics, telemetry)
    hub = Singleton(parts.hub, settings, topics, telemetry)
    cache = Singleton(parts.hybrid_cache, adapters, settings, locks, telemetry)
    throttle = Singleton(parts.throttle, adapters, limiter, telemetry)
    outbox = chosen("jobs.outbox")
    keeps = Singleton(parts.outbox_keeps, adapters, settings)
    relay = Singleton(Relay, outbox=outbox, queue=queue, telemetry=telemetry, keeps=keeps)
    queueing = parts.making(queue=queue, outbox=outbox, relay=relay, transactions=transactions)
    jobs = queueing(Jobs, ids=ids, random=random, clock=clock, telemetry=telemetry)

    definitions, refresh = Singleton(flagging.definitions, adapters, settings), settings.provided.flags.refresh
    flags = Singleton(
        Flags,
        stores=definitions,
        trail=trail,
        clock=clock,
        joined=joins("flags.provider"),
        refresh=refresh,
        review=settings.provided.flags.review,
        ids=ids,
        toolkit=Singleton(flagging.toolkit, adapters),
        backplane=chosen("cache.backplane"),
    )
    experiments = Singleton(
        Experiments, store=chosen("flags.exposures"), flags=flags, jobs=jobs, clock=clock, telemetry=telemetry
    )
    config_store, config_joins = chosen("config.provider"), joins("config.provider")
    config = Singleton(RuntimeSettings, store=config_store, trail=trail, joined=config_joins, cache=cache)

    policy, ours = settings.provided.identity.policy, joins("identity.provider")
    store, hasher, signer = chosen("identity.provider"), chosen("identity.hasher"), chosen("identity.signer")
    csrf = Singleton(members.csrf_tokens, adapters, settings)
    identity = parts.making(store=store, trail=trail, clock=clock, ids=ids, policy=policy, joined=ours)
    breached, messenger = chosen("identity.breached"), chosen("identity.messenger")
    roles = Singleton(Roles, store=store, trail=trail, clock=clock, joined=ours)
    knowing = parts.making(store=store, signer=signer, clock=clock, policy=policy)
    recognition = knowing(Recognition, roles=roles)
    introspection = knowing(Introspection, recognition=recognition)
    granted = parts.making(store=store, recognition=recognition, trail=trail, clock=clock, policy=policy, joined=ours)
    devices, api_keys = granted(Devices), granted(ApiKeys, random=random, ids=ids)
    actions = Singleton(Actions, store=store, clock=clock, random=random, policy=policy)
    writing = parts.making(store=store, trail=trail, joined=ours)
    returns = Singleton(members.returns, settings)
    mails = Singleton(members.mails, settings, returns)
    mailing = writing(Mailing, actions=actions, mails=mails, messenger=messenger, jobs=jobs)
    passwords = Singleton(Passwords, hasher=hasher, breached=breached, policy=policy)
    accounts = writing(Accounts, passwords=passwords, mailing=mailing, clock=clock, ids=ids, roles=roles)
    told, sender = Singleton(members.webhooks, settings), Singleton(members.webhook_sender, adapters, settings)
    hooked = Singleton(WebhookSecrets, secrets=secrets, provider=provider, random=random)
    sending = parts.making(sender=sender, jobs=jobs, trail=trail, clock=clock, ids=ids)
    webhooks = sending(Webhooks, secrets=hooked, webhooks=told)
    tokens = identity(Tokens, signer=signer, random=random)
    anchors = Singleton(Anchors, trail=trail, settings=settings.provided.audit, clock=clock, jobs=jobs)
    browsers = Singleton(members.known_browsers, adapters, settings)
    floor = Singleton(members.floor, adapters, settings)
    attempts = Singleton(Attempts, throttle=throttle, browsers=browsers, policy=policy, floor=floor)
    sessions = identity(
        Sessions, hasher=hasher, recognition=recognition, attempts=attempts, telemetry=telemetry, random=random
    )
    proving = parts.making(store=store, trail=trail, joined=ours, actions=actions, mailing=mailing, policy=policy)
    credentials = proving(Credentials, passwords=passwords, sessions=sessions, throttle=throttle)
    addresses = proving(Addresses, credentials=credentials, throttle=throttle)


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
    given, settings = settings, await parts.resolved(settings, plugins)
    adapters = Adapters(settings, plugins, clock=clock)
    platform = Platform(adapters=adapters, settings=settings)
    ready: dict[str, Any] = {"settings": settings, "plugins": plugins, "bindings": adapters.bindings}
    names = {field.name for field in fields(Services)} - {*ready, "health"}
    ready |= {field.name: getattr(platform, field.name)() for field in fields(Services) if field.name in names}
    ready["jobs"].every(Periodic(name="identity.sweep", every=parts.SWEEP_SECONDS, run=ready["sessions"].sweep))
    ready["jobs"].every(Periodic(name="identity.sweep-links", every=parts.SWEEP_SECONDS, run=ready["actions"].sweep))
    ready["jobs"].every(Periodic(name="jobs.forget-keys", cron=parts.FORGET_CRON, run=ready["relay"].forget))
    flags = ready["flags"].review
    if flags.kept:
        ready["jobs"].every(Periodic(name="flags.apply", every=flagging.EVERY_SECONDS, run=flags.run))
    if ready["events"].listed:
        ready["jobs"].every(Periodic(name="events.expire", cron=parts.EXPIRE_CRON, run=ready["events"].expire))
    rotating.renewing(adapters, ready["watch"], given, settings, platform.provider())
    if ready["rotation"].policies:
        ready["jobs"].every(Periodic(name="secrets.rotate", every=rotating.EVERY_SECONDS, run=ready["rotation"].run))
    if settings.identity.webhooks:
        ready["trail"].listen(ready["webhooks"])
    async with AsyncExitStack() as stack:
        await adapters.open(stack)
        stack.push_async_callback(ready["cache"].aclose)
        stack.push_async_callback(ready["hub"].aclose)
        stack.push_async_callback(ready["secrets"].aclose)
        yield Services(health=HealthService(adapters.context.checks), **ready)
