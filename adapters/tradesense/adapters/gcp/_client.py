"""Secret Manager's client: bounded in time, retried where that is safe, its failures told apart, checksums held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, TypeVar, cast

import google.auth
import google_crc32c
import grpc.aio
import stamina
from google.api_core.exceptions import Conflict, FailedPrecondition, GoogleAPICallError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import secretmanager_v1 as sm
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcAsyncIOTransport,
)
from google.oauth2 import service_account

from tradesense.adapters.gcp._errors import ORIGIN, BadChecksum, is_passing, is_undone, told
from tradesense.adapters.gcp.settings import GcpSettings
from tradesense.core.errors import AdapterClosed, ConfigurationError, SecretDenied, SecretStoreUnavailable, Unavailable
from tradesense.core.secrets.turns import Turns
from tradesense.core.telemetry.models import Health, Status

T = TypeVar("T")

AT_ONCE = 32
ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE = 4, 0.05, 1.0
HEALTH_SECONDS = 1.5
"""A check may take two seconds with all that is around it."""
SCOPE = "https://www.googleapis.com/auth/cloud-platform"

REFUSALS = (NotFound, FailedPrecondition, Conflict)
"""What whoever asked has to understand: absent; in a state that forbids it; there already, or changed meanwhile."""


class SecretManager:
    """The client. The SDK itself does not retry, so that the time-out is ours."""

    def __init__(self, settings: GcpSettings) -> None:
        self._settings = settings
        regional = f"secretmanager.{settings.location}.rep.googleapis.com"
        self.address = settings.endpoint or (regional if settings.location else "secretmanager.googleapis.com")
        place = f"/locations/{settings.location}" if settings.location else ""
        self.parent = f"projects/{settings.project}{place}"
        self._client: sm.SecretManagerServiceAsyncClient | None = None
        self.turns = Turns(most=AT_ONCE, origin=ORIGIN)

    async def __aenter__(self) -> Self:
        """Make the client. Nothing is asked of the service yet.

        :raises ConfigurationError: the credentials' file cannot be read.
        :raises SecretDenied: there are no credentials.
        """
        try:
            credentials = None if self._settings.plaintext else await asyncio.to_thread(_credentials, self._settings)
        except GoogleAuthError as error:
            raise told(error, self.address) from error
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                "the file with the credentials cannot be read", origin=f"{ORIGIN}.credentials_file", mend="correct it"
            ) from error
        channel = grpc.aio.insecure_channel(self.address) if self._settings.plaintext else None
        transport = SecretManagerServiceGrpcAsyncIOTransport(
            host=self.address, credentials=credentials, channel=channel
        )
        self._client = sm.SecretManagerServiceAsyncClient(transport=transport)
        return self

    async def __aexit__(self, *_: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.transport.close()  # type: ignore[no-untyped-call]  # the package leaves it out

    async def call(self, method: str, request: Mapping[str, Any], *, repeatable: bool = True) -> Any:
        """Ask; a failure that may pass is tried again, a write that is not ``repeatable`` only if it was not done.

        :raises GoogleAPICallError: one of ``REFUSALS``.
        :raises SecretDenied: our credentials were refused.
        :raises SecretStoreUnavailable: there is no usable answer in time.
        """
        return await self._bounded(lambda: self._ask(method, request), repeatable=repeatable)

    async def access(self, version: str) -> sm.AccessSecretVersionResponse:
        """A version's value, its checksum held."""

        async def attempt() -> sm.AccessSecretVersionResponse:
            found = cast("sm.AccessSecretVersionResponse", await self._ask("access_secret_version", {"name": version}))
            if found.payload.data_crc32c != _crc32c(found.payload.data):
                raise BadChecksum
            return found

        return await self._bounded(attempt, repeatable=True)

    async def add(self, secret: str, data: bytes) -> str:
        """The name of a new version; the service refuses what does not have our checksum, and says that it looked."""
        payload = {"data": data, "data_crc32c": _crc32c(data)}

        async def attempt() -> str:
            made = cast(
                "sm.SecretVersion", await self._ask("add_secret_version", {"parent": secret, "payload": payload})
            )
            if not made.client_specified_payload_checksum:
                raise BadChecksum
            return str(made.name)

        return await self._bounded(attempt, repeatable=False)

    def check_open(self) -> sm.SecretManagerServiceAsyncClient:
        """The client.

        :raises AdapterClosed: it is not open.
        """
        if self._client is None:
            raise AdapterClosed(f"the client of {self.address} is not open")
        return self._client

    async def _ask(self, method: str, request: Mapping[str, Any]) -> Any:
        client = self.check_open()
        return await getattr(client, method)(request=dict(request), retry=None, timeout=self._settings.timeout)

    async def _bounded(self, attempt: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
        self.check_open()
        try:
            async with self.turns.asking(), asyncio.timeout(self._settings.timeout):
                return await (_PATIENT if repeatable else _CAREFUL)(attempt)
        except REFUSALS:
            raise
        except (GoogleAPICallError, GoogleAuthError, BadChecksum) as error:
            raise told(error, self.address) from error
        except TimeoutError as error:
            raise SecretStoreUnavailable(
                f"{self.address} did not answer within {self._settings.timeout:g} s",
                origin=ORIGIN,
                mend=f"look at the network, or raise {ORIGIN}.timeout",
            ) from error


class GcpHealth:
    """Asks for a secret that nobody has, with our credentials."""

    name = "gcp"
    essential = False

    def __init__(self, manager: SecretManager, probe: str) -> None:
        self._manager = manager
        self._probe = probe

    async def check(self) -> Health:
        """One request."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._manager.call("get_secret", {"name": self._probe})
        except TimeoutError:
            return Health(name=self.name, status=Status.DOWN, detail=f"no answer within {HEALTH_SECONDS:g} s")
        except NotFound:
            pass  # as it must be
        except (Unavailable, SecretDenied) as error:
            return Health(name=self.name, status=Status.DOWN, detail=error.detail)
        return Health(name=self.name, status=Status.UP)


# Neither of the two packages has types throughout.
_ACCOUNTS: Any = service_account.Credentials
_AUTH: Any = google.auth
_CHECKSUMS: Any = google_crc32c


def _crc32c(data: bytes) -> int:
    return int(_CHECKSUMS.value(data))


def _credentials(settings: GcpSettings) -> Any:
    """The credentials of the settings or of the environment; this may ask a metadata server."""
    if settings.credentials_file:
        return _ACCOUNTS.from_service_account_file(settings.credentials_file, scopes=[SCOPE])
    return _AUTH.default(scopes=[SCOPE])[0]


_PATIENT = stamina.AsyncRetryingCaller(
    attempts=ATTEMPTS, timeout=None, wait_initial=FIRST_PAUSE, wait_max=LONGEST_PAUSE, wait_jitter=FIRST_PAUSE * 4
).on(is_passing)
_CAREFUL = stamina.AsyncRetryingCaller(
    attempts=ATTEMPTS, timeout=None, wait_initial=FIRST_PAUSE, wait_max=LONGEST_PAUSE, wait_jitter=FIRST_PAUSE * 4
).on(is_undone)
