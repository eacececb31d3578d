"""The local key encryption under its whole contract: what is wrong on purpose is a subclass of its `Encryption`."""

from __future__ import annotations

import base64

import pytest

from tradesense.adapters.local.secrets import LocalKeyEncryption
from tradesense.adapters.local.settings import LocalKeySettings
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.capabilities import Capability
from tradesense.core.sensitive import Secret
from tradesense.core.testing import KeyEncryptionContract


class Keys(KeyEncryptionContract):
    """The local adapter, which is right; what is wrong is a subclass of it."""

    capabilities = frozenset({Capability.KEY_RING})
    patience = 1.5
    """Processes look at the file each second."""
    Encryption = LocalKeyEncryption

    @pytest.fixture
    def settings(self, tmp_path):
        return LocalKeySettings(root_key=Secret(base64.b64encode(bytes(32))), ring_file=f"{tmp_path}/ring.json")

    @pytest.fixture
    def adapter(self, settings):
        return lambda: self.Encryption(settings, random=SystemRandom(), clock=SystemClock())


class Failing(LocalKeyEncryption):
    """Raises the same at every call."""

    def __init__(self, settings, error):
        super().__init__(settings, random=SystemRandom(), clock=SystemClock())
        self.error = error

    async def _known(self, wanted=None):  # noqa: ARG002  # as in the class above
        raise self.error("by intent")

    async def rotate(self):
        raise self.error("by intent")

    async def retire(self, key_id):  # noqa: ARG002  # as the port says
        raise self.error("by intent")
