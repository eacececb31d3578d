"""Messages to every process that listens, by the server's publish and subscribe."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

from redis.exceptions import RedisError

from tradesense.adapters.redis._client import RedisAdapter, RedisClients
from tradesense.adapters.redis._commands import Subscriber
from tradesense.core.cache.ports import Backplane
from tradesense.core.errors import AdapterClosed, BackplaneUnavailable

QUIET_SECONDS = 5.0
"""Silence after which the server is asked whether the connection still stands."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two attempts to subscribe again."""
PATIENCE = 300.0
"""Seconds without the server after which a subscription is lost for good."""

_log = logging.getLogger(__name__)


class RedisBackplane(RedisAdapter):
    """One channel per topic, one connection per subscription.

    Messages wait in the connection until they are asked for; a listener so slow that the server gives up on it
    (``client-output-buffer-limit pubsub``) is subscribed anew, as after any lost connection.
    """

    def __init__(self, clients: RedisClients, *, patience: float = PATIENCE) -> None:
        super().__init__(clients, BackplaneUnavailable)
        self._patience = patience
        self._subscriptions: set[_Subscription] = set()

    async def __aexit__(self, *details: object) -> None:
        await super().__aexit__(*details)
        for subscription in tuple(self._subscriptions):
            await subscription.aclose()

    async def publish(self, topic: str, payload: bytes) -> None:
        """One PUBLISH."""
        redis = self._redis
        async with self._bounded():
            await redis.publish(self._channel(topic), payload)

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Entering returns when the server has confirmed the subscription.

        When the connection is lost the iterator goes on by itself, with growing pauses; what was published meanwhile
        is missed. After five minutes without the server it raises :class:`BackplaneUnavailable`.
        """
        subscription = _Subscription(self, self._channel(topic), self._patience)
        await subscription.open()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            await subscription.aclose()

    async def listen(self, channel: str) -> Subscriber:
        """A connection that is subscribed to ``channel``.

        :raises BackplaneUnavailable: the server did not confirm it in time.
        :raises AdapterClosed: the adapter is not open.
        """
        if not self._open:
            raise AdapterClosed("RedisBackplane is not open")
        pubsub = self._clients.waiting.pubsub()
        try:
            async with self._bounded():
                await pubsub.subscribe(channel)
                while not _confirms(await pubsub.get_message(timeout=self._clients.timeout)):
                    pass
        except BaseException:
            await pubsub.aclose()
            raise
        return pubsub

    def _channel(self, topic: str) -> str:
        return self._key("topic", topic)


class _Subscription:
    """The messages of one topic. Cancelling a wait for the next one loses nothing."""

    def __init__(self, backplane: RedisBackplane, channel: str, patience: float) -> None:
        self._backplane = backplane
        self._channel = channel
        self._patience = patience
        self._pubsub: Subscriber | None = None
        self._closed = False
        self._asked = False

    async def open(self) -> None:
        self._pubsub = await self._backplane.listen(self._channel)

    async def aclose(self) -> None:
        self._closed = True
        await self._drop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._closed:
                raise AdapterClosed("the subscription is closed")
            if self._pubsub is None:
                await self._again()
                continue
            try:
                message = await self._receive(self._pubsub)
            except (RedisError, OSError) as error:
                if not self._closed:
                    _log.warning("subscription to %s was lost (%s)", self._channel, type(error).__name__)
                await self._drop()
                continue
            if message is not None and message["type"] == "message":
                data: bytes = message["data"]
                return data

    async def _receive(self, pubsub: Subscriber) -> dict[str, Any] | None:
        """The next message of any kind, or ``None`` after a silence, which is followed by a question."""
        message = await pubsub.get_message(timeout=QUIET_SECONDS)
        if message is None:
            if self._asked:
                raise TimeoutError
            await pubsub.ping()
        self._asked = message is None
        return message

    async def _again(self) -> None:
        now = asyncio.get_running_loop().time
        deadline, pause = now() + self._patience, FIRST_PAUSE
        while self._pubsub is None:
            try:
                await self.open()
            except BackplaneUnavailable:
                if self._closed or now() > deadline:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        _log.info("subscription to %s is back", self._channel)

    async def _drop(self) -> None:
        pubsub, self._pubsub, self._asked = self._pubsub, None, False
        if pubsub is not None:
            with suppress(RedisError, OSError):
                await pubsub.aclose()


def _confirms(message: dict[str, Any] | None) -> bool:
    return message is not None and bool(message["type"] == "subscribe")


_: type[Backplane] = RedisBackplane
