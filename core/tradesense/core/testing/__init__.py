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

_HOMES = {
    "base": ("Contract", "Joined", "Make", "eventually", "every", "fresh", "joined", "opened", "requires", "together"),
}

_MODULES = {name: module for module, names in _HOMES.items() for name in names}

pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _HOMES))

__all__ = (
    "Contract",
    "Joined",
    "Make",
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
