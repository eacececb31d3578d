"""Settings are loaded in a folder of their own, against plugins that say no more than the tests need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from tradesense.adapters.jose.settings import JoseSettings
from tradesense.adapters.local.settings import LocalKeySettings
from tradesense.core.capabilities import Capability
from tradesense.core.errors import Problem, SettingsInvalid
from tradesense.core.sensitive import Secret
from tradesense.plugins.manager import Loaded as Found
from tradesense.plugins.manager import Plugins
from tradesense.plugins.manifest import Adapter, NoSettings
from tradesense.plugins.registry import Offer, Registry
from tradesense.settings.load import Loaded, load
from tradesense.settings.sections import CHOICES

KEYS = {
    "TRADESENSE_IDENTITY__CSRF_KEY": "q1w7XkzR0vJm4sYtBn9cUeHdLgPa2fOi",
    "TRADESENSE_AUDIT__KEY": "Zt5RbN8mKx3QvC6yHj1LpWsEd4GuFa7o",
    "TRADESENSE_SECRETS__LOCAL__ROOT_KEY": "JmKwsbF-WqwStd14gFVNClTYhaLzF3wPGB9MVC9bFgs",
    "JWT_SECRET_KEY": "Hy6TgBn3RfVc8EdXs5WqAzPlOk0ImJu2",
}
PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://app:hunter-two@db.internal/app",
    "TRADESENSE_HTTP__BASE_URL": "https://app.internal.net",
    **KEYS,
}


class Database(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: Secret = Secret("")
    pool_size: int = 5
    max_overflow: int = 5


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: Secret = Secret("")
    timeout: float = 1.0


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: Secret = Secret("")
    stream: str = "jobs"


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    verify: bool = True
    key_file: str = ""


class Vault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    token: Secret = Secret("")
    token_file: str = ""
    mounts: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    tls: Tls = Tls()

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("url begins with http:// or https://")


_OFFERED: dict[str, tuple[str, ...]] = {
    "identity.provider": ("memory", "sql"),
    "identity.hasher": ("argon2",),
    "identity.signer": ("jose",),
    "identity.messenger": ("console", "memory"),
    "identity.breached": ("null", "common"),
    "identity.webhook_sender": ("http",),
    "secrets.provider": ("memory", "sql", "vault", "env"),
    "secrets.key_encryption": ("local",),
    "cache.provider": ("memory", "redis"),
    "cache.backplane": ("memory", "redis"),
    "cache.locks": ("memory", "redis", "sql"),
    "cache.limiter": ("memory", "redis"),
    "cache.compressor": ("zlib",),
    "cache.topics": ("memory", "redis"),
    "flags.provider": ("memory", "sql"),
    "flags.exposures": ("memory", "sql"),
    "config.provider": ("memory", "sql"),
    "audit.provider": ("memory", "sql"),
    "jobs.provider": ("memory", "taskiq"),
    "jobs.outbox": ("memory", "sql"),
    "telemetry.metrics": ("prometheus", "null"),
    "telemetry.errors": ("null",),
    "telemetry.alerts": ("null",),
}
_SECTIONS: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "sql": ("database", Database),
    "redis": ("redis", Server),
    "taskiq": ("redis", Queue),
    "jose": ("", JoseSettings),
    "local": ("", LocalKeySettings),
    "vault": ("", Vault),
}
_CAPABILITIES = {
    "sql": frozenset({Capability.TRANSACTIONAL, Capability.PERSISTENT, Capability.SHARED}),
    "redis": frozenset({Capability.SHARED}),
    "taskiq": frozenset({Capability.SHARED}),
}


def _adapter(port: type[Any], name: str) -> Adapter:
    section, struct = _SECTIONS.get(name, ("", NoSettings))
    return Adapter(
        port=port,
        name=name,
        factory="nowhere:nothing",
        summary="for tests",
        settings=struct,
        section=section,
        capabilities=_CAPABILITIES.get(name, frozenset()),
    )


def registry(*more: Adapter) -> Registry:
    adapters = [_adapter(CHOICES[key], name) for key, names in _OFFERED.items() for name in names]
    return Registry(Offer(adapter=a, plugin=a.name, distribution="tests", version="1") for a in (*adapters, *more))


@pytest.fixture
def plugins() -> Plugins:
    return Plugins(registry(), [Found(name="all", distribution="tests", version="1", state="loaded")])


@pytest.fixture
def keys() -> dict[str, str]:
    """Good keys, by the variables that set them."""
    return dict(KEYS)


@pytest.fixture
def production() -> dict[str, str]:
    """The least that a production deployment sets."""
    return dict(PRODUCTION)


class Loads(Protocol):
    def __call__(self, environ: Mapping[str, str] | None = None, toml: str = "", **more: str) -> Loaded: ...


@pytest.fixture
def loads(tmp_path: Path, plugins: Plugins) -> Loads:
    """Load from these variables and this text of the deployment's file."""

    def run(environ: Mapping[str, str] | None = None, toml: str = "", **more: str) -> Loaded:
        if toml:
            file = tmp_path / "tradesense.local.toml"
            file.write_text(toml)
            file.chmod(0o600)
        return load({**(environ or {}), **more}, directory=tmp_path, plugins=plugins)

    return run


Wrong = Callable[..., dict[str, Problem]]


@pytest.fixture
def wrong(loads: Loads) -> Wrong:
    """Load what cannot be loaded, and return the errors by key."""

    def run(environ: Mapping[str, str] | None = None, toml: str = "", **more: str) -> dict[str, Problem]:
        with pytest.raises(SettingsInvalid) as caught:
            loads(environ, toml, **more)
        return {problem.key: problem for problem in caught.value.problems if problem.level == "error"}

    return run
