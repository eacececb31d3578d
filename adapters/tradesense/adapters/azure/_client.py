"""Key Vault's client: bounded in time, retried where that is safe, its failures told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar

import stamina
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.identity.aio import ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from tradesense.adapters.azure._errors import ORIGIN, REFUSALS, is_passing, is_undone, told
from tradesense.adapters.azure.settings import AzureSettings
from tradesense.core.errors import AdapterClosed, ConfigurationError, SecretDenied, SecretStoreUnavailable, Unavailable
from tradesense.core.secrets.turns import Turns
from tradesense.core.telemetry.models import Health, Status

T = TypeVar("T")

AT_ONCE = 32
ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE = 4, 0.05, 1.0
HEALTH_SECONDS = 1.5
"""A check may take two seconds with all that is around it."""

Call = Callable[[SecretClient], Awaitable[T]]


class KeyVault:
    """The client. The SDK itself does not retry, so that the time-out is ours."""

    def __init__(self, settings: AzureSettings) -> None:
        self._settings = settings
        self.address = settings.url.rstrip("/")
        self.poll = settings.poll
        self._stack = AsyncExitStack()
        self._client: SecretClient | None = None
        self._turns = Turns(most=AT_ONCE, origin=ORIGIN)

    async def __aenter__(self) -> Self:
        """Make the client. Nothing is asked of the vault yet.

        :raises ConfigurationError: the credentials are not complete.
        """
        settings = self._settings
        more: dict[str, Any] = {"connection_verify": settings.ca_file} if settings.ca_file else {}
        bounds = {"retry_total": 0, "connection_timeout": settings.timeout, "read_timeout": settings.timeout}
        try:
            credential = _credential(settings, bounds | more)
        except ValueError as error:
            raise ConfigurationError(
                f"the settings are not enough for the login {settings.login!r}",
                origin=ORIGIN,
                mend="set tenant_id, client_id and client_secret, or choose another login",
            ) from error
        stack = AsyncExitStack()
        await stack.enter_async_context(credential)
        client = SecretClient(
            self.address, credential, verify_challenge_resource=settings.check_resource, **bounds, **more
        )
        self._client = await stack.enter_async_context(client)
        self._stack = stack
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client = None
        await self._stack.aclose()

    async def call(self, ask: Call[T], *, repeatable: bool = True, patience: float = 0) -> T:
        """Ask; a failure that may pass is tried again, a write that is not ``repeatable`` only if it was not done.

        :param patience: seconds beyond the time-out, for what the vault does by and by.
        :raises AzureError: one of ``REFUSALS``.
        :raises SecretDenied: our credentials were refused.
        :raises SecretStoreUnavailable: there is no usable answer in time.
        """
        client = self._client
        if client is None:
            raise AdapterClosed(f"the client of {self.address} is not open")
        try:
            async with self._turns.asking(), asyncio.timeout(self._settings.timeout + patience):
                return await (_PATIENT if repeatable else _CAREFUL)(ask, client)
        except REFUSALS:
            raise
        except AzureError as error:
            raise told(error, self.address) from error
        except TimeoutError as error:
            raise SecretStoreUnavailable(
                f"{self.address} did not answer within {self._settings.timeout + patience:g} s",
                origin=ORIGIN,
                mend=f"look at the network, or raise {ORIGIN}.timeout",
            ) from error

    async def slowly(self, ask: Call[T]) -> T:
        """The same for deleting and recovering, which the vault finishes by and by."""
        return await self.call(ask, repeatable=False, patience=self._settings.timeout)


class AzureHealth:
    """Asks for a secret that nobody has, with our credentials."""

    name = "azure"
    essential = False

    def __init__(self, vault: KeyVault, probe: str) -> None:
        self._vault = vault
        self._probe = probe

    async def check(self) -> Health:
        """One request."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._vault.call(lambda client: client.get_secret(self._probe))
        except TimeoutError:
            return Health(name=self.name, status=Status.DOWN, detail=f"no answer within {HEALTH_SECONDS:g} s")
        except ResourceNotFoundError:
            pass  # as it must be
        except (Unavailable, SecretDenied) as error:
            return Health(name=self.name, status=Status.DOWN, detail=error.detail)
        return Health(name=self.name, status=Status.UP)


def _credential(
    settings: AzureSettings, more: dict[str, Any]
) -> ClientSecretCredential | ManagedIdentityCredential | WorkloadIdentityCredential:
    if settings.login == "client-secret":
        return ClientSecretCredential(
            settings.tenant_id,
            settings.client_id,
            settings.client_secret.reveal(),
            authority=settings.authority.rstrip("/"),
            **more,
        )
    chosen: dict[str, Any] = {"client_id": settings.client_id} if settings.client_id else {}
    if settings.login == "workload-identity":
        tenant: dict[str, Any] = {"tenant_id": settings.tenant_id} if settings.tenant_id else {}
        return WorkloadIdentityCredential(**chosen, **tenant, **more)
    return ManagedIdentityCredential(**chosen, **more)


_PATIENT = stamina.AsyncRetryingCaller(
    attempts=ATTEMPTS, timeout=None, wait_initial=FIRST_PAUSE, wait_max=LONGEST_PAUSE, wait_jitter=FIRST_PAUSE * 4
).on(is_passing)
_CAREFUL = stamina.AsyncRetryingCaller(
    attempts=ATTEMPTS, timeout=None, wait_initial=FIRST_PAUSE, wait_max=LONGEST_PAUSE, wait_jitter=FIRST_PAUSE * 4
).on(is_undone)
