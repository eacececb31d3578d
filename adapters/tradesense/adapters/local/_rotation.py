"""A rotator that generates: the value is used by those who read the secret, and by nobody else."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from tradesense.core.ambient import Random
from tradesense.core.errors import InvalidInput, RotationFailed
from tradesense.core.secrets.models import StoredSecret
from tradesense.core.secrets.ports import Rotator
from tradesense.core.sensitive import Secret

LEAST, MOST, USUAL = 16, 512, 32
"""Random bytes; 16 are the 128 bits that a secret has at least (ASVS 11.5.1)."""


class PasswordRotator:
    """Random bytes in base64 for URLs, as many as the option ``bytes`` says. See :class:`Rotator`."""

    def __init__(self, *, random: Random) -> None:
        self._random = random

    async def create(self, current: StoredSecret, options: Mapping[str, str]) -> Secret:  # noqa: ARG002  # it follows nothing
        """See :meth:`Rotator.create`."""
        text = options.get("bytes", f"{USUAL}")
        count = int(text) if text.isascii() and text.isdecimal() else 0
        if not LEAST <= count <= MOST:
            raise InvalidInput(f"the option `bytes` is a number from {LEAST} to {MOST}")
        return Secret(base64.urlsafe_b64encode(self._random.bytes(count)).rstrip(b"="))

    async def set(self, current: StoredSecret, pending: StoredSecret, options: Mapping[str, str]) -> None:
        """Nobody has to be told: whoever reads the secret has the new value as soon as it is current."""

    async def test(self, pending: StoredSecret, options: Mapping[str, str]) -> None:  # noqa: ARG002  # it needs none
        """See :meth:`Rotator.test`."""
        if len(pending.value) < LEAST:
            raise RotationFailed(f"the pending version of {pending.path!r} is not one that was generated")


_: type[Rotator] = PasswordRotator
