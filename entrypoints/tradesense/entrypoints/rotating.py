"""Secrets that change while the platform runs, as the composition root wires it: reads, rotation, who is told."""

from __future__ import annotations

import logging
from contextlib import suppress

from tradesense.core.audit.service import AuditTrail
from tradesense.core.cache.coordination import Coordination
from tradesense.core.cache.near import Near
from tradesense.core.cache.ports import Backplane, CacheStore
from tradesense.core.cache.service import HybridCache
from tradesense.core.capabilities import Capability
from tradesense.core.errors import ConfigurationError, SecretNotFound, TradeSenseError
from tradesense.core.secrets.models import StoredSecret
from tradesense.core.secrets.overdue import RotationHealth
from tradesense.core.secrets.patches import field_of
from tradesense.core.secrets.ports import Rotator
from tradesense.core.secrets.provider import Provider
from tradesense.core.secrets.reads import CachedReads
from tradesense.core.secrets.rotation import Rotation, RotationPolicy
from tradesense.core.secrets.watch import Watch
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.ports import AlertNotifier
from tradesense.core.telemetry.service import FanOut
from tradesense.core.transactions import Transactions
from tradesense.entrypoints.adapters import Adapters
from tradesense.settings.references import places, references, secrets_in, substituted
from tradesense.settings.schema import Settings
from tradesense.settings.sections import section_settings

log = logging.getLogger("tradesense.secrets")

ENTRIES, BYTES = 2_000, 16_777_216
"""What a process remembers of secrets at most."""
EVERY_SECONDS = 30.0
"""How often the worker looks for what is due."""


def rotation(
    adapters: Adapters,
    settings: Settings,
    provider: Provider,
    *,
    coordination: Coordination,
    transactions: Transactions,
    trail: AuditTrail,
    telemetry: FanOut,
    alerts: AlertNotifier,
    reads: CachedReads | None,
    watch: Watch,
) -> Rotation:
    """The policies of the settings, with the rotators that they name.

    :raises ConfigurationError: there is one, and the provider cannot stage a version: nothing would ever be rotated.
    """
    if settings.secrets.rotation and Capability.ROTATION not in provider.capabilities:
        named = ", ".join(f"secrets.rotation.{name}" for name in settings.secrets.rotation)
        raise ConfigurationError(
            f"{named}: the secrets provider {provider.name!r} cannot rotate, as it stages no version",
            origin="secrets.chain" if settings.secrets.chain else "secrets.provider",
            mend="leave the policy out, or choose a provider with `rotation`; see `tradesense secrets providers`",
        )

    async def changed(path: str) -> None:
        watch.nudge(path)
        if reads is not None:
            await reads.forget(path)

    policies = [
        RotationPolicy(path=wanted.path, every=wanted.every, rotator=wanted.rotator, options=wanted.options)
        for wanted in settings.secrets.rotation.values()
    ]
    made = Rotation(
        provider=provider,
        policies=policies,
        rotators={
            wanted.rotator: adapters.choose(Rotator, wanted.rotator, f"secrets.rotation.{name}.rotator")
            for name, wanted in settings.secrets.rotation.items()
        },
        coordination=coordination,
        transactions=transactions,
        trail=trail,
        clock=adapters.clock,
        telemetry=telemetry,
        alerts=alerts,
        changed=changed,
    )
    if policies:
        adapters.context.watch(RotationHealth(made, adapters.clock))
    return made


def reads(adapters: Adapters, settings: Settings, provider: Provider) -> CachedReads | None:
    """A cache in this process, for a provider that is another server's; values are never put into a shared store."""
    wanted = settings.secrets
    remote = Capability.SHARED in provider.capabilities and Capability.TRANSACTIONAL not in provider.capabilities
    if not remote or not wanted.cache_ttl:
        return None
    cache = HybridCache(
        far=adapters.own(CacheStore, "memory"),
        backplane=adapters.choose(Backplane, settings.cache.backplane, "cache.backplane"),
        clock=adapters.clock,
        random=adapters.random,
        telemetry=FanOut(metrics=[], traces=[]),
        near=Near(max_entries=ENTRIES, max_bytes=BYTES),
        near_ttl=wanted.cache_ttl,
    )
    return CachedReads(cache, clock=adapters.clock, ttl=wanted.cache_ttl, max_stale=wanted.max_stale)


def watch(settings: Settings, provider: Provider) -> Watch:
    """Looks at the secrets that settings refer to."""

    def failed(path: str, error: TradeSenseError) -> None:
        log.warning("who depends on the secret %s could not take its new value: %s", path, error.line())

    return Watch(provider.store, every=settings.secrets.watch_every, failed=failed)


def renewing(adapters: Adapters, watch: Watch, settings: Settings, known: Settings, provider: Provider) -> None:
    """Let adapters have their settings anew when a secret has changed that ``settings`` refer to.

    :param known: the settings with what the secrets were at the start.
    """
    before = dict(secrets_in(known))
    known_values = {reference: before[key] for key, reference in places(settings).items()}

    async def tell(_: StoredSecret) -> None:
        current = substituted(settings, known_values | await values(settings, provider))
        for renewal in adapters.context.renewals:
            await renewal.renew(section_settings(current, renewal.section, renewal.settings))

    sections = {renewal.section for renewal in adapters.context.renewals}
    for key, reference in places(settings).items():
        if key.rpartition(".")[0] in sections:
            watch.on(reference.partition("#")[0], tell)


async def values(settings: Settings, provider: Provider) -> dict[str, Secret]:
    """What the references in ``settings`` stand for; those that stand for nothing are left out."""
    found: dict[str, Secret] = {}
    for reference in references(settings):
        path, _, field = reference.partition("#")
        with suppress(SecretNotFound):
            value = (await provider.store.get(path)).value
            found[reference] = field_of(value, field) if field else value
    return found
