"""Reads through a cache of this process: quick, asked once at a time, and honest about how old an answer is.

Values never leave the process by it. Only an outage is covered by what the provider said last; an absent secret, a
refusal or a value that does not decrypt is told as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from tradesense.core.ambient import Clock
from tradesense.core.cache.named import NamedCache
from tradesense.core.cache.options import EntryOptions
from tradesense.core.cache.refresh import Refresh
from tradesense.core.cache.service import HybridCache
from tradesense.core.errors import DecryptionFailed, SecretDenied, SecretNotFound, TradeSenseError, Unavailable
from tradesense.core.secrets.models import StoredSecret
from tradesense.core.sensitive import Secret

NAME = "secrets"
RETRY_SECONDS = 1.0
"""After a failed read that was covered, how long the provider is left alone."""
PATIENCE_SECONDS = 2.0
"""How long a caller waits for the provider where an older value is at hand."""

Read = Callable[[], Awaitable[StoredSecret]]

_REFUSALS: dict[str, type[TradeSenseError]] = {
    error.code: error for error in (SecretNotFound, SecretDenied, DecryptionFailed)
}


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider said. One of ``fields`` and ``refused`` says something."""

    read_at: float
    """Seconds since 1970."""
    fields: dict[str, Any] = {}
    value: bytes = b""
    refused: str = ""
    """The code of the error."""
    detail: str = ""

    def __repr__(self) -> str:
        """Without the value."""
        return f"Remembered(read_at={self.read_at!r}, refused={self.refused!r})"


class CachedReads:
    """Reads of one provider through ``cache``, which nobody else uses and which shares nothing but its notices."""

    def __init__(self, cache: HybridCache, *, clock: Clock, ttl: float, max_stale: float) -> None:
        """Make it of its parts.

        :param ttl: seconds that an answer is good for.
        :param max_stale: seconds after which the last answer is not given any more while the provider is away.
        """
        self.cache = cache
        self._clock = clock
        self._ttl = ttl
        options = EntryOptions(
            ttl=ttl,
            fail_safe=max(max_stale - ttl, 0.0),
            throttle=RETRY_SECONDS,
            soft_timeout=PATIENCE_SECONDS,
            lease=False,
        )
        self._named: NamedCache[Remembered] = cache.named(NAME, Remembered, options=options)

    async def get(self, path: str, version: int | None, read: Read) -> StoredSecret:
        """What ``read`` answers, now or within the last moments.

        :raises SecretStoreUnavailable: the provider is away, and was for longer than the last answer is good.
        """

        async def ask(refresh: Refresh[Remembered]) -> Remembered:
            try:
                found = await read()
            except Unavailable:
                raise  # the cache covers it
            except (SecretNotFound, SecretDenied, DecryptionFailed) as error:
                refresh.keep = False
                return Remembered(read_at=self._now(), refused=error.code, detail=error.detail)
            fields = asdict(found)
            value: Secret = fields.pop("value")
            return Remembered(read_at=self._now(), fields=fields, value=value.reveal_bytes())

        known = await self._named.get_or_set(_key(path, version), ask, tags=(_tag(path),))
        if known is None:
            raise SecretNotFound(f"there is no secret {path!r}")
        if known.refused:
            await self._named.remove(_key(path, version))  # nor may an outage bring back what was there before
            raise _REFUSALS[known.refused](known.detail)
        found = StoredSecret(**known.fields, value=Secret(known.value))
        return replace(found, stale=True) if self._now() - known.read_at > self._ttl else found

    async def forget(self, path: str) -> None:
        """Let no version of the secret be answered from here any more, in any process."""
        await self.cache.invalidate(tags=(_tag(path),))

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _key(path: str, version: int | None) -> str:
    return f"{path}@{version or 'current'}"


def _tag(path: str) -> str:
    return f"{NAME}:{path}"
