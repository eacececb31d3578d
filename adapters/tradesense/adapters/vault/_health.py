"""Whether the server can serve."""

from __future__ import annotations

import asyncio

from tradesense.adapters.vault._api import VaultApi
from tradesense.core.errors import Unavailable
from tradesense.core.telemetry.models import Health, Status

HEALTH_SECONDS = 1.5
"""A check may take two seconds with all that is around it."""


class VaultHealth:
    """Asks the server whether it is initialised, unsealed and active."""

    name = "vault"
    essential = False

    def __init__(self, api: VaultApi) -> None:
        self._api = api

    async def check(self) -> Health:
        """One request, without the token."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._api.health()
        except TimeoutError:
            return Health(name=self.name, status=Status.DOWN, detail=f"no answer within {HEALTH_SECONDS:g} s")
        except Unavailable as error:
            return Health(name=self.name, status=Status.DOWN, detail=error.detail)
        return Health(name=self.name, status=Status.UP)
