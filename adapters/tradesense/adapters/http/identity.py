"""Sending webhooks: the name is resolved once, every address is checked, and the connection goes to one of them."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx2

from tradesense.adapters.http.settings import HttpSenderSettings
from tradesense.core.addresses import Address, Target, may_connect, target_of
from tradesense.core.errors import AdapterClosed, WebhookRefused, WebhookUnavailable
from tradesense.core.identity.ports import WebhookSender
from tradesense.plugins.manifest import AdapterContext

SECONDS = 5.0
"""For all of it: the name, the connection and the answer's head."""

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


async def resolved(host: str, port: int) -> Sequence[Address]:
    """The addresses of a host, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found]


class HttpWebhookSender:
    """HTTPS to public addresses. Redirects are not followed, and of an answer the status alone is read."""

    def __init__(self, settings: HttpSenderSettings, *, resolve: Resolve = resolved) -> None:
        self._allowed = settings.networks()
        self._ca_file = settings.ca_file
        self._resolve = resolve
        self._opened = False
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._opened = True
        if self._ca_file:
            self._client = _client(self._ca_file)  # a file that cannot be read is told at the start
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        client, self._client, self._opened = self._client, None, False
        if client is not None:
            await client.aclose()

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """See :meth:`WebhookSender.send`."""
        if not self._opened:
            raise AdapterClosed("the sender of webhooks is not open")
        # few processes send any, and to read the system's authorities is a good part of a start
        client = self._client = self._client or _client()
        target = target_of(url, allowed=self._allowed)
        try:
            async with asyncio.timeout(SECONDS):
                address = await self._address(target)
                named = target.host if target.port == 443 else f"{target.host}:{target.port}"  # noqa: PLR2004  # https
                place = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004  # of IP
                async with client.stream(
                    "POST",
                    f"https://{place}:{target.port}{target.path}",
                    content=body,
                    headers={**headers, "host": named},
                    extensions={"sni_hostname": target.host},
                ) as answer:
                    return answer.status_code
        except (httpx2.HTTPError, OSError, TimeoutError, ssl.SSLError) as error:
            raise WebhookUnavailable(f"{target.host} did not take the webhook: {type(error).__name__}") from error

    async def _address(self, target: Target) -> Address:
        """The address to connect to. One that is not public among them makes all of them suspect.

        :raises WebhookRefused: there is none that we may be sent to.
        """
        found = await self._resolve(target.host, target.port)
        if not found or not all(may_connect(address, self._allowed) for address in found):
            raise WebhookRefused(f"{target.host} has an address that is not public")
        return found[0]


def _client(ca_file: str = "") -> httpx2.AsyncClient:
    context = ssl.create_default_context(cafile=ca_file or None)
    return httpx2.AsyncClient(verify=context, follow_redirects=False, trust_env=False, timeout=SECONDS)


def sender(settings: HttpSenderSettings, context: AdapterContext) -> HttpWebhookSender:  # noqa: ARG001  # every factory takes both
    """The factory."""
    return HttpWebhookSender(settings)


_: type[WebhookSender] = HttpWebhookSender
