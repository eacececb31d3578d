"""Passwords of known breaches, asked of a server that does not learn them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Self

import httpx2

from tradesense.adapters.hibp.settings import HibpSettings
from tradesense.core.errors import AdapterClosed, Unavailable
from tradesense.core.identity.ports import BreachedPasswords
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext

PREFIX = 5
"""Digits of the digest that are sent: some thousand passwords have them in common."""
MOST_BYTES = 1_000_000
FOUND = 200
HEADERS = {"Add-Padding": "true", "User-Agent": "tradesense", "Accept": "text/plain", "Accept-Encoding": "identity"}
"""With padding, the length of an answer does not tell which range it was."""


class HibpPasswords:
    """Asks for a range of SHA-1 digests. See :class:`BreachedPasswords`. No redirect is followed."""

    def __init__(self, settings: HibpSettings) -> None:
        self._settings = settings
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._client = httpx2.AsyncClient(
            headers=HEADERS, timeout=self._settings.timeout, follow_redirects=False, trust_env=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def contains(self, password: Secret) -> bool:
        """See :meth:`BreachedPasswords.contains`.

        :raises Unavailable: the list did not answer, and ``fail`` is ``closed``.
        """
        if self._client is None:
            raise AdapterClosed("HibpPasswords is not open", mend="use it inside its `async with`")
        # The list is one of SHA-1 digests; nothing is protected by it.
        found = hashlib.sha1(password.reveal_bytes(), usedforsecurity=False).hexdigest().upper()
        try:
            async with asyncio.timeout(self._settings.timeout):
                suffixes = await self._range(self._client, found[:PREFIX])
        except (httpx2.HTTPError, TimeoutError, ValueError) as error:
            if self._settings.fail == "open":
                return False
            raise Unavailable(
                "the list of breached passwords does not answer", origin="identity.hibp", mend="try again later"
            ) from error
        rest = found[PREFIX:].encode()
        return any(hmac.compare_digest(suffix, rest) for suffix in suffixes)

    async def _range(self, client: httpx2.AsyncClient, prefix: str) -> list[bytes]:
        """The rests of the digests that were seen in a breach; padded lines, which count none, are left out."""
        async with client.stream("GET", f"{self._settings.url.rstrip('/')}/{prefix}") as answer:
            if answer.status_code != FOUND:
                raise ValueError(f"the list answered {answer.status_code}")
            body = b""
            async for part in answer.aiter_raw():
                body += part
                if len(body) > MOST_BYTES:
                    raise ValueError("the list answered with too much")
        lines = [line.strip().partition(b":") for line in body.splitlines()]
        return [suffix for suffix, colon, count in lines if colon and int(count) > 0]


def breached(settings: HibpSettings, context: AdapterContext) -> HibpPasswords:  # noqa: ARG001  # every factory takes both
    """The factory."""
    return HibpPasswords(settings)


_: type[BreachedPasswords] = HibpPasswords
