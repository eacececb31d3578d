"""One server's HTTP API: bounded in time and connections, retried where that is safe, its failures told apart."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx2
import msgspec
import stamina

from tradesense.adapters.vault._answers import BY_POLICY, ORIGIN, Answer, messages
from tradesense.adapters.vault._login import Login
from tradesense.adapters.vault.settings import VaultSettings
from tradesense.core.breaker import Breaker
from tradesense.core.errors import (
    AdapterClosed,
    ConfigurationError,
    SecretCredentialsExpired,
    SecretDenied,
    SecretStoreSealed,
    SecretStoreThrottled,
    SecretStoreUnavailable,
    SecretStoreUntrusted,
)
from tradesense.core.secrets.turns import Turns
from tradesense.core.sensitive import Secret

CONNECTIONS = 16
# One retry mends what is worth mending: a kept connection that the server has closed, a leader that has just changed.
ATTEMPTS, RETRY_WITHIN, FIRST_PAUSE, LONGEST_PAUSE = 2, 1.0, 0.05, 0.2
HEALTH = "sys/health"
SILENT = "is not asked: it has not answered several times, and is tried again every second"

_OK, _BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 200, 400, 403, 404
_THROTTLED, _NOT_INITIALISED, _SEALED = 429, 501, 503
_PASSING = frozenset({_THROTTLED, 500, 502, _SEALED, 504})


class VaultApi:
    """Opens with a look at the server's health, so that a wrong address is found at the start."""

    def __init__(self, settings: VaultSettings) -> None:
        self._settings = settings
        self._verify = _authorities(settings.ca_file)
        self._client: httpx2.AsyncClient | None = None
        self._breaker = Breaker(time.monotonic)
        self.turns = Turns(most=CONNECTIONS, origin=ORIGIN)
        self.login = Login(settings, self._ask)

    async def __aenter__(self) -> Self:
        """Connect and log in.

        :raises SecretDenied: the server refuses the login.
        :raises SecretStoreUnavailable: it does not answer, or is sealed.
        """
        self._client = httpx2.AsyncClient(
            base_url=f"{self._settings.url.rstrip('/')}/v1/",
            verify=self._verify,
            timeout=httpx2.Timeout(self._settings.timeout),
            limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            trust_env=False,
        )
        try:
            await self.health()
            await self.login.__aenter__()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.login.__aexit__()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def get(self, path: str, **parameters: str | int) -> Answer:
        """Read; a failure that may pass is tried once more.

        :raises SecretDenied: the token may not.
        :raises SecretStoreUnavailable: there is no usable answer in time.
        """
        client = self._opened
        return await self._asked(lambda auth: _patient_get(client, path, parameters, auth))

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Write, once: a write whose answer was lost may have been carried out.

        :raises SecretDenied: the token may not.
        :raises SecretStoreUnavailable: there is no usable answer in time.
        """
        client = self._opened
        content = msgspec.json.encode(body)
        return await self._asked(lambda auth: client.post(path, content=content, auth=auth))

    async def delete(self, path: str) -> Answer:
        """Remove, once.

        :raises SecretDenied: the token may not.
        :raises SecretStoreUnavailable: there is no usable answer in time.
        """
        client = self._opened
        return await self._asked(lambda auth: client.delete(path, auth=auth))

    async def _asked(self, send: Callable[[_Token], Awaitable[httpx2.Response]]) -> Answer:
        """Send with our token, and with a new one where the server knows the old one no more."""
        for _ in range(2):
            used = self.login.token
            async with self.turns.asking(), self._bounded():
                answer = self._judged(await send(_Token(used, self._settings.namespace)))
            if answer.kind != "denied":
                return answer
            if answer.says(BY_POLICY) or await self.login.is_valid(used):
                raise self._denied()
            if not await self.login.again(used):
                break
        raise SecretCredentialsExpired(
            f"the secret provider at {self._settings.url} knows our token no more, or never did",
            origin="secrets.vault.token",
            mend="renew the token",
        )

    async def _ask(self, path: str, body: Mapping[str, Any] | None, token: Secret) -> Answer:
        client = self._opened
        auth = _Token(token, self._settings.namespace)
        async with self.turns.asking(), self._bounded():
            if body is None:
                return self._judged(await client.get(path, auth=auth))
            return self._judged(await client.post(path, content=msgspec.json.encode(body), auth=auth))

    async def health(self) -> None:
        """Go on only if the server can serve.

        :raises SecretStoreUnavailable: it cannot; the detail says why.
        """
        client = self._opened
        async with self._bounded(probe=True):
            response = await client.get(HEALTH, params={"standbyok": "true", "perfstandbyok": "true"}, auth=None)
        if response.status_code == _NOT_INITIALISED:
            raise self._unavailable("is not initialised", "initialise and unseal it")
        if response.status_code == _SEALED:
            raise self._sealed()
        if response.status_code != _OK:
            raise self._unavailable(f"answered the health check with {response.status_code}", "see the server's log")

    @property
    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            raise AdapterClosed("the connection to the secret provider is not open")
        return self._client

    @asynccontextmanager
    async def _bounded(self, *, probe: bool = False) -> AsyncGenerator[None]:
        """Let the body take ``timeout`` seconds in all, and translate what the client library raises.

        :param probe: ask although the server is left alone, as it has not answered before.
        """
        if not probe and not self._breaker.admits():
            raise self._unavailable(SILENT, "start the server, or look at its load")
        try:
            async with asyncio.timeout(self._settings.timeout):
                yield
            self._breaker.worked()
        except httpx2.PoolTimeout as error:
            raise self._unavailable("was not asked: every connection is in use", "ask less at once") from error
        except (TimeoutError, httpx2.TimeoutException) as error:
            self._breaker.failed()
            raise self._unavailable(
                f"did not answer within {self._settings.timeout:g} s",
                "look at its load, or raise secrets.vault.timeout",
            ) from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            self._breaker.failed()
            if _is_about_certificates(error):
                what, mend = "has a certificate that is not trusted", "set secrets.vault.ca_file"
                raise self._unavailable(what, mend, SecretStoreUntrusted) from error
            raise self._unavailable("cannot be reached", "start the server, or correct secrets.vault.url") from error

    def _judged(self, response: httpx2.Response) -> Answer:
        status, body = response.status_code, response.content
        if response.is_success:
            return Answer("done", body, response.headers.get("date", ""))
        if status == _FORBIDDEN:
            return Answer("denied", body)
        answer = Answer("absent" if status == _NOT_FOUND else "refused", body)
        if status == _NOT_FOUND and not answer.says("no handler for route"):
            return answer
        if status == _BAD_REQUEST:
            return answer
        raise self._failure(response, status)

    def _denied(self) -> SecretDenied:
        return SecretDenied(
            f"the secret provider at {self._settings.url} refused the token",
            origin="secrets.vault.token",
            mend="widen the policy of the token or its role",
        )

    def _failure(self, response: httpx2.Response, status: int) -> SecretStoreUnavailable:
        if status == _NOT_FOUND:
            return self._unavailable(f"has no engine at {self._settings.mount!r}", "correct secrets.vault.mount")
        if status == _THROTTLED:
            mend = "ask less often, or raise its rate limit quota"
            return self._unavailable("throttles us", mend, SecretStoreThrottled)
        if _sealed(response):
            return self._sealed()
        return self._unavailable(f"answered with status {status}", "see the server's log")

    def _sealed(self) -> SecretStoreUnavailable:
        return self._unavailable("is sealed", "unseal it", SecretStoreSealed)

    def _unavailable(
        self, what: str, mend: str, kind: type[SecretStoreUnavailable] = SecretStoreUnavailable
    ) -> SecretStoreUnavailable:
        return kind(f"the secret provider at {self._settings.url} {what}", origin=ORIGIN, mend=mend)


class _PassingFailure(Exception):
    """An answer that another try may better."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"status {response.status_code}")
        self.response = response


class _Token(httpx2.Auth):
    """Adds the token to each request, so that the client itself does not hold it among its headers."""

    def __init__(self, token: Secret, namespace: str) -> None:
        self._token = token
        self._namespace = namespace

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response]:
        if self._token:
            request.headers["X-Vault-Token"] = self._token.reveal()
        request.headers["X-Vault-Request"] = "true"
        if self._namespace:
            request.headers["X-Vault-Namespace"] = self._namespace
        yield request


async def _patient_get(
    client: httpx2.AsyncClient, path: str, parameters: Mapping[str, str | int], auth: _Token
) -> httpx2.Response:
    async def attempt() -> httpx2.Response:
        response = await client.get(path, params=parameters, auth=auth)
        if response.status_code in _PASSING and not _sealed(response):
            raise _PassingFailure(response)
        return response

    try:
        return await _RETRYING(attempt)
    except _PassingFailure as failure:
        return failure.response


_RETRYING = stamina.AsyncRetryingCaller(
    attempts=ATTEMPTS,
    timeout=RETRY_WITHIN,
    wait_initial=FIRST_PAUSE,
    wait_max=LONGEST_PAUSE,
    wait_jitter=FIRST_PAUSE,
).on((httpx2.TransportError, _PassingFailure))


def _sealed(response: httpx2.Response) -> bool:
    return response.status_code == _SEALED and any("sealed" in message for message in messages(response.content))


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _authorities(ca_file: str) -> ssl.SSLContext:
    """What is trusted.

    :raises ConfigurationError: the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise ConfigurationError(
            f"{ca_file!r} is not a readable PEM file with certificates",
            origin="secrets.vault.ca_file",
            mend="name the file of the authority that signed the server's certificate",
        ) from error
