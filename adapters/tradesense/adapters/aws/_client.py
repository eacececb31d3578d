"""One AWS service: its client, bounded in time, retried where that is safe, its failures told apart."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Any, Self, cast

import stamina
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader, create_loader

from tradesense.adapters.aws._errors import Refusal, is_passing, is_unsent, refusal, told
from tradesense.adapters.aws.settings import AwsSettings
from tradesense.core.errors import AdapterClosed, ConfigurationError, SecretDenied, SecretStoreUnavailable, Unavailable
from tradesense.core.secrets.turns import Turns
from tradesense.core.telemetry.models import Health, Status

CONNECTIONS = 32
ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE = 4, 0.05, 1.0
HEALTH_SECONDS = 1.5
"""A check may take two seconds with all that is around it."""

Reply = dict[str, Any]
"""What the SDK made of the service's answer."""


@lru_cache
def _models() -> Loader:
    """The descriptions of services. To read one takes longer than all else of making a client."""
    return create_loader()


def _session() -> AioSession:
    session = get_session()
    session.register_component("data_loader", _models())
    return session


class AwsService:
    """A client of one service of one region. The SDK itself does not retry, so that the time-out is ours."""

    def __init__(self, service: str, settings: AwsSettings, *, origin: str) -> None:
        self.origin = origin
        self.address = settings.endpoint_url or f"{service} in {settings.region}"
        self._service = service
        self._settings = settings
        self._context: AbstractAsyncContextManager[Any] | None = None
        self._client: Any = None
        self.turns = Turns(most=CONNECTIONS, origin=origin)
        if settings.ca_file and not os.access(settings.ca_file, os.R_OK):
            raise ConfigurationError(
                f"{settings.ca_file!r} is not a readable file",
                origin=f"{origin}.ca_file",
                mend="name the file of the authority that signed the endpoint's certificate",
            )

    async def __aenter__(self) -> Self:
        """Make the client. Nothing is asked of the service yet.

        :raises SecretStoreUnavailable: the SDK cannot make one.
        """
        settings = self._settings
        context = cast(
            "AbstractAsyncContextManager[Any]",
            _session().create_client(
                self._service,
                region_name=settings.region,
                endpoint_url=settings.endpoint_url or None,
                aws_access_key_id=settings.access_key_id or None,
                aws_secret_access_key=settings.secret_access_key.reveal() or None,
                aws_session_token=settings.session_token.reveal() or None,
                verify=settings.ca_file or None,
                config=AioConfig(
                    connect_timeout=settings.timeout,
                    read_timeout=settings.timeout,
                    retries={"total_max_attempts": 1},
                    max_pool_connections=CONNECTIONS,
                ),
            ),
        )
        try:
            self._client = await context.__aenter__()
        except (BotoCoreError, OSError) as error:
            raise told(error, self.address, self.origin) from error
        self._context = context
        return self

    async def __aexit__(self, *details: object) -> None:
        context, self._context, self._client = self._context, None, None
        if context is not None:
            await context.__aexit__(*cast("tuple[None, None, None]", details or (None, None, None)))

    async def call(self, operation: str, *, repeatable: bool = True, **arguments: Any) -> Reply:
        """Ask; a failure that may pass is tried again, a write that is not ``repeatable`` only if it was not done.

        :raises Refusal: the service refused this request; its code says why.
        :raises SecretDenied: it refused our credentials.
        :raises SecretStoreUnavailable: there is no usable answer in time.
        """
        self.check_open()
        async with self.turns.asking(), self._bounded():
            reply: Reply = await (_PATIENT if repeatable else _CAREFUL)(getattr(self._client, operation), **arguments)
            return reply

    def check_open(self) -> None:
        """Go on only if the client is open.

        :raises AdapterClosed: it is not.
        """
        if self._client is None:
            raise AdapterClosed(f"the client of {self.address} is not open")

    @asynccontextmanager
    async def _bounded(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._settings.timeout):
                yield
        except ClientError as error:
            raise refusal(error, self.address, self.origin) from error
        except BotoCoreError as error:
            raise told(error, self.address, self.origin) from error
        except TimeoutError as error:
            raise SecretStoreUnavailable(
                f"{self.address} did not answer within {self._settings.timeout:g} s",
                origin=self.origin,
                mend=f"look at the network, or raise {self.origin}.timeout",
            ) from error


class AwsHealth:
    """Asks the service for something small with our credentials."""

    essential = False

    def __init__(self, name: str, service: AwsService, operation: str, absent: str = "", **arguments: Any) -> None:
        """With ``absent`` as the code by which the service says that it knows no such thing, as is well."""
        self.name = name
        self._service = service
        self._operation = operation
        self._absent = absent
        self._arguments: Mapping[str, Any] = arguments

    async def check(self) -> Health:
        """One request."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._service.call(self._operation, **self._arguments)
        except TimeoutError:
            return Health(name=self.name, status=Status.DOWN, detail=f"no answer within {HEALTH_SECONDS:g} s")
        except Refusal as refusal:
            if refusal.reason != self._absent:
                return Health(name=self.name, status=Status.DOWN, detail=str(refusal))
        except (Unavailable, SecretDenied) as error:
            return Health(name=self.name, status=Status.DOWN, detail=error.detail)
        return Health(name=self.name, status=Status.UP)


_PATIENT = stamina.AsyncRetryingCaller(
    attempts=ATTEMPTS, timeout=None, wait_initial=FIRST_PAUSE, wait_max=LONGEST_PAUSE, wait_jitter=FIRST_PAUSE * 4
).on(is_passing)
_CAREFUL = stamina.AsyncRetryingCaller(
    attempts=ATTEMPTS, timeout=None, wait_initial=FIRST_PAUSE, wait_max=LONGEST_PAUSE, wait_jitter=FIRST_PAUSE * 4
).on(is_unsent)
