"""The contract suites: what an adapter must do, as tests that its author runs.

Subclass the contract of the port, override the ``adapter`` fixture, run pytest::

    class TestAcmeSecrets(SecretStoreContract):
        capabilities = frozenset({Capability.WRITE})

        @pytest.fixture
        def adapter(self):
            return lambda: AcmeSecretStore(url)

The contracts are imported when they are asked for, so that loading the pytest plugin costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tradesense.core.testing.ambient import ClockContract, IdsContract, RandomContract
    from tradesense.core.testing.audit import AuditLogContract
    from tradesense.core.testing.base import (
        Contract,
        Joined,
        Make,
        eventually,
        every,
        fresh,
        joined,
        opened,
        requires,
        together,
    )
    from tradesense.core.testing.cache import (
        BackplaneContract,
        CacheStoreContract,
        CompressorContract,
        FencesContract,
        LockProviderContract,
        RateLimiterContract,
        TopicsContract,
    )
    from tradesense.core.testing.checks import Advance, ManualClock
    from tradesense.core.testing.config import SettingsStoreContract
    from tradesense.core.testing.flags import (
        BucketHashContract,
        ChangeStoreContract,
        ExperimentStoreContract,
        FlagStoreContract,
        PatternsContract,
        SegmentStoreContract,
    )
    from tradesense.core.testing.identity import (
        BreachedPasswordsContract,
        IdentityProviderContract,
        IdentityStoreContract,
        MessengerContract,
        PasswordHasherContract,
        TokenSignerContract,
        WebhookSenderContract,
    )
    from tradesense.core.testing.jobs import JobQueueContract, OutboxContract
    from tradesense.core.testing.secrets import (
        AeadContract,
        KeyEncryptionContract,
        RotatorContract,
        SecretStoreContract,
    )
    from tradesense.core.testing.telemetry import (
        AlertNotifierContract,
        EndedSpan,
        ErrorReporterContract,
        HealthCheckContract,
        Reading,
        ReportedError,
        TelemetryContract,
    )
    from tradesense.core.testing.transactions import TransactionsContract

_HOMES = {
    "ambient": (
        "ClockContract",
        "IdsContract",
        "RandomContract",
    ),
    "audit": ("AuditLogContract",),
    "base": ("Contract", "Joined", "Make", "eventually", "every", "fresh", "joined", "opened", "requires", "together"),
    "cache": (
        "BackplaneContract",
        "CacheStoreContract",
        "CompressorContract",
        "FencesContract",
        "LockProviderContract",
        "RateLimiterContract",
        "TopicsContract",
    ),
    "checks": ("Advance", "ManualClock"),
    "config": ("SettingsStoreContract",),
    "flags": (
        "BucketHashContract",
        "ChangeStoreContract",
        "ExperimentStoreContract",
        "FlagStoreContract",
        "PatternsContract",
        "SegmentStoreContract",
    ),
    "identity": (
        "BreachedPasswordsContract",
        "IdentityProviderContract",
        "IdentityStoreContract",
        "MessengerContract",
        "PasswordHasherContract",
        "TokenSignerContract",
        "WebhookSenderContract",
    ),
    "jobs": ("JobQueueContract", "OutboxContract"),
    "secrets": ("AeadContract", "KeyEncryptionContract", "RotatorContract", "SecretStoreContract"),
    "telemetry": (
        "AlertNotifierContract",
        "EndedSpan",
        "ErrorReporterContract",
        "HealthCheckContract",
        "Reading",
        "ReportedError",
        "TelemetryContract",
    ),
    "transactions": ("TransactionsContract",),
}

_MODULES = {name: module for module, names in _HOMES.items() for name in names}

pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _HOMES))

__all__ = (
    "Advance",
    "AeadContract",
    "AlertNotifierContract",
    "AuditLogContract",
    "BackplaneContract",
    "BreachedPasswordsContract",
    "BucketHashContract",
    "CacheStoreContract",
    "ChangeStoreContract",
    "ClockContract",
    "CompressorContract",
    "Contract",
    "EndedSpan",
    "ErrorReporterContract",
    "ExperimentStoreContract",
    "FencesContract",
    "FlagStoreContract",
    "HealthCheckContract",
    "IdentityProviderContract",
    "IdentityStoreContract",
    "IdsContract",
    "JobQueueContract",
    "Joined",
    "KeyEncryptionContract",
    "LockProviderContract",
    "Make",
    "ManualClock",
    "MessengerContract",
    "OutboxContract",
    "PasswordHasherContract",
    "PatternsContract",
    "RandomContract",
    "RateLimiterContract",
    "Reading",
    "ReportedError",
    "RotatorContract",
    "SecretStoreContract",
    "SegmentStoreContract",
    "SettingsStoreContract",
    "TelemetryContract",
    "TokenSignerContract",
    "TopicsContract",
    "TransactionsContract",
    "WebhookSenderContract",
    "eventually",
    "every",
    "fresh",
    "joined",
    "opened",
    "requires",
    "together",
)


def __getattr__(name: str) -> Any:
    """Import what is asked for from its module."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
