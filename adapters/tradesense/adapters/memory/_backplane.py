"""Messages within one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.cache.ports import Backplane
from tradesense.core.errors import BackplaneUnavailable

MAX_PENDING = 10_000
"""Messages that wait for one listener; one that is slower still is cut off and told so."""


class _Subscription:
    """What one listener has not read yet. ``None`` in the queue means that it was cut off."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._lost = ""

    def hand(self, payload: bytes) -> None:
        if self._queue.qsize() >= MAX_PENDING:
            self.cut(f"the listener is {MAX_PENDING} messages behind")
        elif not self._lost:
            self._queue.put_nowait(payload)

    def cut(self, why: str) -> None:
        if not self._lost:
            self._lost = why
            self._queue.put_nowait(None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        payload = await self._queue.get()
        if payload is None:
            self._queue.put_nowait(None)
            raise BackplaneUnavailable(self._lost, origin="memory", mend="subscribe again")
        return payload


class _Topics:
    """The listeners of one backend."""

    def __init__(self, _: MemoryState) -> None:
        self._topics: dict[str, set[_Subscription]] = {}

    def add(self, topic: str, subscription: _Subscription) -> None:
        self._topics.setdefault(topic, set()).add(subscription)

    def remove(self, topic: str, subscription: _Subscription) -> None:
        listeners = self._topics[topic]
        listeners.remove(subscription)
        if not listeners:
            del self._topics[topic]

    def publish(self, topic: str, payload: bytes) -> None:
        for subscription in self._topics.get(topic, ()):
            subscription.hand(payload)


class MemoryBackplane(Lifecycle):
    """Messages to every listener over one :class:`MemoryState`. See :class:`Backplane`."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__()
        self._topics = state.part(_Topics)
        self._own: set[_Subscription] = set()

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        for subscription in self._own:
            subscription.cut("the backplane was closed")

    async def publish(self, topic: str, payload: bytes) -> None:
        """See :meth:`Backplane.publish`."""
        self.check_open()
        self._topics.publish(topic, payload)

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """See :meth:`Backplane.subscribe`."""
        return self._subscribe(topic)

    @asynccontextmanager
    async def _subscribe(self, topic: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        self.check_open()
        subscription = _Subscription()
        self._topics.add(topic, subscription)
        self._own.add(subscription)
        try:
            yield subscription
        finally:
            self._own.discard(subscription)
            self._topics.remove(topic, subscription)


_: type[Backplane] = MemoryBackplane
