"""The sections that belong to adapters: which there are, who chose them, and what they say."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from difflib import get_close_matches
from operator import attrgetter
from typing import Any, Literal, TypeVar

import msgspec

from tradesense.core.audit.ports import AuditLog
from tradesense.core.cache.ports import Backplane, CacheStore, Compressor, LockProvider, RateLimiter, Topics
from tradesense.core.capabilities import Capability
from tradesense.core.config.ports import SettingsStore
from tradesense.core.errors import Problem, SettingsInvalid, UnknownProvider
from tradesense.core.flags.ports import ExperimentStore, FlagStore
from tradesense.core.identity.ports import (
    BreachedPasswords,
    IdentityStore,
    Messenger,
    PasswordHasher,
    TokenSigner,
    WebhookSender,
)
from tradesense.core.jobs.ports import JobQueue, Outbox
from tradesense.core.secrets.ports import KeyEncryption, SecretStore
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.ports import AlertNotifier, ErrorReporter, Telemetry
from tradesense.plugins.manager import Plugins
from tradesense.plugins.manifest import Adapter, Requirement
from tradesense.plugins.registry import Offer, Registry
from tradesense.settings.environment import COMMON_SECTIONS
from tradesense.settings.layers import Tree, Value, leaves
from tradesense.settings.schema import Settings
from tradesense.settings.validate import Checked, check, first_origin, struct_in

CHOICES: Mapping[str, type[Any]] = {
    "identity.provider": IdentityStore,
    "identity.hasher": PasswordHasher,
    "identity.signer": TokenSigner,
    "identity.messenger": Messenger,
    "identity.breached": BreachedPasswords,
    "identity.webhook_sender": WebhookSender,
    "secrets.provider": SecretStore,
    "secrets.key_encryption": KeyEncryption,
    "cache.provider": CacheStore,
    "cache.backplane": Backplane,
    "cache.locks": LockProvider,
    "cache.limiter": RateLimiter,
    "cache.compressor": Compressor,
    "cache.topics": Topics,
    "flags.provider": FlagStore,
    "flags.exposures": ExperimentStore,
    "config.provider": SettingsStore,
    "audit.provider": AuditLog,
    "jobs.provider": JobQueue,
    "jobs.outbox": Outbox,
    "telemetry.metrics": Telemetry,
    "telemetry.traces": Telemetry,
    "telemetry.errors": ErrorReporter,
    "telemetry.alerts": AlertNotifier,
}
"""The settings that choose an adapter, and the port that each chooses for."""


S = TypeVar("S", bound=msgspec.Struct)


def adapter_settings(settings: Settings, adapter: Adapter, *, origins: Mapping[str, str] | None = None) -> Any:
    """The section of ``adapter`` as an instance of the Struct that its manifest names.

    Names that the Struct has not are passed over: another adapter may share the section, and loading has refused
    those that nobody knows.

    :raises SettingsInvalid: the section is wrong; all problems are in it.
    """
    return section_settings(settings, adapter.settings_section, adapter.settings, origins=origins)


def section_settings(settings: Settings, section: str, kind: type[S], *, origins: Mapping[str, str] | None = None) -> S:
    """The section called ``section`` as an instance of ``kind``.

    :raises SettingsInvalid: the section is wrong; all problems are in it.
    """
    names = {field.name for field in msgspec.structs.fields(kind)}
    raw = {name: value for name, value in settings.adapters.get(section, {}).items() if name in names}
    problems: list[Problem] = []
    made: S = check(kind, _valued(raw, section, origins or {}), prefix=f"{section}.", problems=problems)
    if problems:
        raise SettingsInvalid(problems)
    return made


def chosen(
    settings: Settings, registry: Registry, origins: Mapping[str, str]
) -> tuple[dict[str, Offer], list[Problem]]:
    """The offer that each setting of :data:`CHOICES` names, and a problem for each that nobody offers.

    Where nobody is told of anything, nobody need send it.
    """
    offers: dict[str, Offer] = {}
    problems: list[Problem] = []
    for key, port in CHOICES.items():
        if port is WebhookSender and not settings.identity.webhooks:
            continue
        name = attrgetter(key)(settings)
        origin = origins.get(key, "the default")
        try:
            offers[key] = registry.choose(port, name, key=key, origin=origin)
        except UnknownProvider as error:
            message = f"no plugin offers {port.__name__} {name!r}"
            problems.append(Problem(level="error", key=key, message=message, origin=origin, mend=error.mend))
    return offers, problems


def sealed(offers: Mapping[str, Offer]) -> bool:
    """Whether the chosen secrets provider keeps ciphertext, so that a key-encryption key is needed."""
    store = offers.get("secrets.provider")
    return store is not None and {Capability.TRANSACTIONAL, Capability.PERSISTENT} <= store.adapter.capabilities


def missing(adapter: Adapter) -> list[Requirement]:
    """What the adapter requires and is not installed."""
    return [requirement for requirement in adapter.requires if not _installed(requirement.module)]


class Sections:
    """The parts of a tree that are sections of adapters."""

    def __init__(self, tree: Tree, plugins: Plugins) -> None:
        self._structs: dict[str, list[type[msgspec.Struct]]] = {}
        for offer in plugins.registry.offers():
            self._structs.setdefault(offer.adapter.settings_section, []).append(offer.adapter.settings)
        self._all_loaded = all(found.state == "loaded" for found in plugins.found)
        self._tree = tree
        self.problems: list[Problem] = []
        self.adapters: dict[str, dict[str, Any]] = {}

    def take(self) -> Tree:
        """What is left of the tree for the schema, once every adapter's section is taken out of it."""
        return self._take(self._tree, Settings, "")

    def _take(self, tree: Tree, kind: type[msgspec.Struct], prefix: str) -> Tree:
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        left: Tree = {}
        for name, entry in tree.items():
            below = struct_in(fields.get(name))
            if isinstance(entry, Value) or (name in fields and below is None and name != "adapters"):
                left[name] = entry
            elif below is not None:
                left[name] = self._take(entry, below, f"{prefix}{name}.")
            else:
                self._section(f"{prefix}{name}", entry)
        return left

    def _section(self, section: str, table: Tree) -> None:
        if section in self._structs:
            self.adapters[section] = self._values(section, table)
        elif all(value.builtin for _, value in leaves(table)):
            return
        elif section in COMMON_SECTIONS:
            self.adapters[section] = {name: _hidden(entry) for name, entry in table.items()}
            self._add("info", section, "no adapter reads this section", table, "nothing, or install one that does")
        else:
            near = get_close_matches(section, [*self._structs, *COMMON_SECTIONS], n=3, cutoff=0.6)
            mend = (
                f"did you mean [{'] or ['.join(near)}]?" if near else "remove it, or install the plugin that reads it"
            )
            # A plugin that was left out may be the one that reads it.
            self._add("error" if self._all_loaded else "warning", section, "no adapter has this section", table, mend)

    def _values(self, section: str, table: Tree) -> dict[str, Any]:
        """The entries in the types that the section's adapters give them; what is wrong goes to ``problems``."""
        types = {
            field.name: field.type for struct in self._structs[section] for field in msgspec.structs.fields(struct)
        }
        everyone = msgspec.defstruct("Everyone", [(name, kind, None) for name, kind in types.items()], kw_only=True)
        checked = Checked(everyone, prefix=f"{section}.", problems=self.problems)
        checked.read(table)
        return checked.fields

    def _add(self, level: Literal["error", "warning", "info"], key: str, message: str, table: Tree, mend: str) -> None:
        problem = Problem(level=level, key=key, message=message, origin=first_origin(table), mend=mend)
        self.problems.append(problem)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a parent of a dotted name is absent
        return False


def _valued(raw: Mapping[str, Any], section: str, origins: Mapping[str, str]) -> dict[str, Any]:
    return {name: Value(value, origins.get(f"{section}.{name}", "settings")) for name, value in raw.items()}


def _hidden(entry: Any) -> Any:
    """Values of which nobody has said whether they are secret."""
    if isinstance(entry, Value):
        return Secret(entry.raw) if isinstance(entry.raw, str) else entry.raw
    return {name: _hidden(below) for name, below in entry.items()}
