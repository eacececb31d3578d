"""Small makers that the composition root wires: what is neither an adapter nor a service by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from operator import attrgetter
from typing import Any

from dependency_injector.providers import Singleton

from tradesense.core.ambient import Random
from tradesense.core.audit.chain import AuditChain
from tradesense.core.audit.health import TrailHealth
from tradesense.core.audit.ports import AuditLog
from tradesense.core.audit.service import AuditTrail
from tradesense.core.cache.events import Events
from tradesense.core.cache.fanout import EventHub
from tradesense.core.cache.limits import Throttle
from tradesense.core.cache.near import Near
from tradesense.core.cache.ports import Backplane, CacheStore, LockProvider, RateLimiter, Topics
from tradesense.core.cache.recovery import Recovery
from tradesense.core.cache.service import HybridCache
from tradesense.core.capabilities import Capability
from tradesense.core.errors import ConfigurationError
from tradesense.core.jobs.ports import JobQueue, Outbox
from tradesense.core.secrets.chain import ChainStore
from tradesense.core.secrets.datakeys import DataKeys
from tradesense.core.secrets.envelope import Sealer
from tradesense.core.secrets.keys import Keys
from tradesense.core.secrets.ports import Aead, KeyEncryption, SecretStore
from tradesense.core.secrets.provider import Provider
from tradesense.core.secrets.retirement import Retirement
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.ports import Scrapable, Telemetry
from tradesense.core.telemetry.service import FanOut
from tradesense.core.transactions import Transactions
from tradesense.entrypoints import rotating
from tradesense.entrypoints.adapters import Adapters
from tradesense.plugins.manager import Plugins
from tradesense.settings.references import places, references, substituted
from tradesense.settings.schema import Settings
from tradesense.settings.sections import CHOICES

KEY_BYTES = 32
AEAD = "local"
"""The one cipher. Where it runs is not a choice of deployment."""

SWEEP_SECONDS = 60.0
FORGET_CRON = "17 * * * *"
EXPIRE_CRON = "47 * * * *"


def making(*given: Any, **named: Any) -> Callable[..., Singleton[Any]]:
    """What makes providers of single objects that have ``given`` and ``named`` in common."""
    return partial(Singleton, *given, **named)


def chosen(adapters: Adapters, settings: Settings, setting: str, port: type[Any] | None = None) -> Any:
    """The adapter that the dotted ``setting`` names, as in ``flags.provider``.

    :param port: in place of the one that the setting chooses for.
    """
    return adapters.choose(port or CHOICES[setting], str(attrgetter(setting)(settings)), setting)


def joins(adapters: Adapters, settings: Settings, setting: str) -> bool:
    """Whether what ``setting`` chose shares its transactions with the audit log."""
    return adapters.joins(CHOICES[setting], str(attrgetter(setting)(settings)), settings.audit.provider)


def key(value: Secret, name: str, settings: Settings, random: Random) -> bytes:
    """The bytes of a key from settings; made at random for a test run that names none.

    :raises ConfigurationError: it has fewer than 32 bytes.
    """
    if not value and settings.environment == "testing":
        return random.bytes(KEY_BYTES)
    if len(value) < KEY_BYTES:
        raise ConfigurationError(
            f"{name} has {len(value)} bytes, at least {KEY_BYTES} are needed",
            origin="settings",
            mend="make one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`",
        )
    return value.reveal_bytes()


def audit_chain(adapters: Adapters, settings: Settings) -> AuditChain:
    """The chain that the log links its records with."""
    return AuditChain(key(settings.audit.key, "audit.key", settings, adapters.random))


def audit_log(adapters: Adapters, settings: Settings, chain: AuditChain) -> AuditLog:
    """The chosen log, which finds the chain in its context."""
    adapters.context.chain = chain
    return adapters.choose(AuditLog, settings.audit.provider, "audit.provider")


def audit_trail(adapters: Adapters, *, log: AuditLog, chain: AuditChain, transactions: Transactions) -> AuditTrail:
    """The trail over the chosen log, watched by `/health`."""
    trail = AuditTrail(log=log, chain=chain, transactions=transactions)
    adapters.context.watch(TrailHealth(trail))
    return trail


def hybrid_cache(adapters: Adapters, settings: Settings, locks: LockProvider, telemetry: FanOut) -> HybridCache:
    """The chosen shared store behind a first level that is this process's own, watched by `/health`."""
    wanted = settings.cache
    shared = Capability.SHARED in adapters.capabilities(CacheStore, wanted.provider)
    cache = HybridCache(
        far=chosen(adapters, settings, "cache.provider"),
        backplane=chosen(adapters, settings, "cache.backplane"),
        locks=locks if shared else None,
        clock=adapters.clock,
        random=adapters.random,
        telemetry=telemetry,
        near=Near(max_entries=wanted.near_entries, max_bytes=wanted.near_bytes),
        near_ttl=wanted.near_ttl,
        compressor=chosen(adapters, settings, "cache.compressor"),
        compress_over=wanted.compress_over,
        options=wanted.options,
        named=wanted.named,
        recovery=Recovery(limit=wanted.recovery_entries, max_bytes=wanted.recovery_bytes),
    )
    adapters.context.watch(cache.health)
    return cache


def events(adapters: Adapters, settings: Settings, topics: Topics, telemetry: FanOut) -> Events:
    """Events on the chosen topics."""
    wanted = settings.events
    return Events(
        topics=topics,
        capabilities=adapters.capabilities(Topics, settings.cache.topics),
        clock=adapters.clock,
        ids=adapters.ids,
        telemetry=telemetry,
        retain=wanted.retain,
        attempts=wanted.attempts,
        retry=wanted.retry,
        retain_for=wanted.retain_for,
        dead_for=wanted.dead_for,
    )


def hub(settings: Settings, topics: Topics, telemetry: FanOut) -> EventHub:
    """The fan-out of this process."""
    wanted = settings.events
    return EventHub(
        topics=topics,
        telemetry=telemetry,
        most=wanted.buffer,
        most_bytes=wanted.buffer_bytes,
        most_listeners=wanted.streams,
        most_per_caller=wanted.streams_per_caller,
    )


def throttle(adapters: Adapters, shared: RateLimiter, telemetry: FanOut) -> Throttle:
    """The chosen limiter, with one in this process for when it is away."""
    return Throttle(shared=shared, local=adapters.own(RateLimiter, "memory"), telemetry=telemetry)


def outbox_keeps(adapters: Adapters, settings: Settings) -> bool:
    """Whether the outbox keeps a job until it is done: it outlives a crash, and whoever does the job can tell it."""
    outbox = adapters.capabilities(Outbox, settings.jobs.outbox)
    told = Capability.SHARED in outbox or Capability.SHARED not in adapters.capabilities(
        JobQueue, settings.jobs.provider
    )
    return Capability.PERSISTENT in outbox and told


def sealer(adapters: Adapters, settings: Settings) -> Sealer:
    """Envelope encryption with the chosen key-encryption key; what that unwrapped is held for a moment."""
    return Sealer(
        keys=adapters.choose(KeyEncryption, settings.secrets.key_encryption, "secrets.key_encryption"),
        aead=adapters.choose(Aead, AEAD, "secrets.aead"),
        random=adapters.random,
        namespace=settings.secrets.namespace,
        remembered=adapters.context.share(DataKeys, lambda: DataKeys(now=adapters.clock.monotonic)),
    )


def keys(adapters: Adapters, settings: Settings, provider: Provider, trail: AuditTrail) -> Keys:
    """The key-encryption keys, where the chosen provider keeps envelopes."""
    name, sealed = settings.secrets.key_encryption, Capability.ENVELOPES in provider.capabilities
    encryption: Any = adapters.choose(KeyEncryption, name, "secrets.key_encryption") if sealed else None
    ring = sealed and Capability.KEY_RING in adapters.capabilities(KeyEncryption, name)
    retirement = None
    if ring:
        backplane = adapters.choose(Backplane, settings.cache.backplane, "cache.backplane")
        retirement = Retirement(sealer=adapters.context.sealer, ring=encryption, backplane=backplane)
    return Keys(
        provider=provider,
        encryption=encryption,
        ring=ring,
        trail=trail,
        clock=adapters.clock,
        retirement=retirement,
    )


def secrets_provider(adapters: Adapters, settings: Settings) -> Provider:
    """The chosen secrets adapter with what it declared; envelope encryption is built only for one that asks for it."""
    if settings.secrets.chain:
        chain = ChainStore(
            [named_provider(adapters, settings, name, "secrets.chain") for name in settings.secrets.chain]
        )
        return Provider(f"chain of {', '.join(chain.order)}", chain, frozenset(), joined=False)
    return named_provider(adapters, settings, settings.secrets.provider, "secrets.provider")


def named_provider(adapters: Adapters, settings: Settings, name: str, key: str) -> Provider:
    """The secrets adapter ``name``, which the setting or option ``key`` asks for, with what it declared."""
    adapters.context.sealer = lambda: sealer(adapters, settings)
    return Provider(
        name,
        adapters.choose(SecretStore, name, key),
        adapters.capabilities(SecretStore, name),
        joined=adapters.joins(SecretStore, name, settings.audit.provider),
    )


def fan_out(adapters: Adapters, settings: Settings) -> FanOut:
    """The telemetry that settings ask for; ``null`` stands for nobody."""
    chosen = settings.telemetry
    metrics = [adapters.choose(Telemetry, chosen.metrics, "telemetry.metrics")]
    traces = [] if chosen.traces == "null" else [adapters.choose(Telemetry, chosen.traces, "telemetry.traces")]
    made = FanOut(metrics=metrics, traces=traces)
    adapters.context.telemetry = made
    return made


def scrapable(adapters: Adapters, settings: Settings) -> Scrapable | None:
    """The adapter whose metrics can be read as a text, if the chosen one declares it."""
    name = settings.telemetry.metrics
    if Capability.SCRAPE not in adapters.capabilities(Telemetry, name):
        return None
    adapter: object = adapters.choose(Telemetry, name, "telemetry.metrics")
    return adapter  # type: ignore[return-value]  # declared, and proved by the contract suite


async def resolved(settings: Settings, plugins: Plugins) -> Settings:
    """The settings with every ``secret://`` reference replaced by the secret that it names.

    :raises ConfigurationError: there is no such secret; every setting that names one is in the message.
    """
    if not references(settings):
        return settings
    adapters = Adapters(settings, plugins)
    adapters.context.chain = audit_chain(adapters, settings)
    provider = secrets_provider(adapters, settings)
    async with AsyncExitStack() as stack:
        await adapters.open(stack)
        values = await rotating.values(settings, provider)
    if dangling := {key: path for key, path in places(settings).items() if path not in values}:
        raise ConfigurationError(
            "; ".join(f"{key} names the secret {path!r}, and there is none" for key, path in dangling.items()),
            origin="secrets.provider",
            mend="write it with `tradesense secrets put` while the setting is left out, or name another",
        )
    return substituted(settings, values)
