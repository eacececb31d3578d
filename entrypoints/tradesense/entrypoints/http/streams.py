"""Pushing events to one client, over whatever it speaks: who may listen, how long, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Literal

import msgspec
import structlog

from tradesense.core.cache.listener import MOST_TOPICS, Listener, News, parse_cursor
from tradesense.core.cache.models import check_topic
from tradesense.core.errors import InvalidTopic, ListenerDropped, Unauthenticated, Unavailable
from tradesense.core.identity.permissions import Permission
from tradesense.entrypoints.http.exchange import Exchange
from tradesense.entrypoints.http.guards import demand, still

log = structlog.stdlib.get_logger("tradesense.http")

READ = Permission("events", "read")
FRESH_SECONDS = 0.9
"""An event is delivered only to who was known to be allowed so long ago at most (SECURITY R15)."""
AWAY_SECONDS = 1.0
"""Pause before the session is asked for again, while who keeps it is away. Nothing is delivered meanwhile."""
LAST_WORD_SECONDS = 2.0
"""How long a client that is to go may take to read why."""

Reason = Literal["slow", "closing", "revoked"]


class Ended(msgspec.Struct, frozen=True):
    """The stream's last word."""

    reason: Reason


class Heartbeat(msgspec.Struct, frozen=True):
    """There is nothing new, and the connection stands."""

    cursor: str


Told = News | Heartbeat | Ended


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a client wants to hear, and from where on."""

    topics: tuple[str, ...]
    cursor: dict[str, str]


def wished(topics: Sequence[str], last_event_id: str) -> Wish:
    """What a client asks for, checked.

    :raises InvalidTopic: there is no topic, a name or the position is none, or there are too many.
    """
    names = tuple(dict.fromkeys(check_topic(topic) for topic in topics))
    if not 1 <= len(names) <= MOST_TOPICS:
        raise InvalidTopic(f"a stream is of 1 to {MOST_TOPICS} topics", mend="name them, as in ?topic=orders")
    return Wish(topics=names, cursor=parse_cursor(last_event_id))


async def check_readable(exchange: Exchange, topics: Sequence[str]) -> None:
    """Check the permission for each topic.

    :raises PermissionDenied: one is not held; nobody is told whether the topic has ever been published on.
    """
    for topic in topics:
        await demand(exchange, READ.at(topic))


def listening(exchange: Exchange, wish: Wish) -> AbstractAsyncContextManager[Listener]:
    """A place in the fan-out, where the caller, and this process, have not too many.

    :raises LimitExceeded: they have.
    """
    caller = exchange.caller()
    return exchange.services.hub.listen(
        wish.topics, cursor=wish.cursor, caller=caller.session_id or caller.key_id or caller.user_id
    )


async def told(exchange: Exchange, listener: Listener, topics: Sequence[str]) -> AsyncGenerator[Told]:
    """What the client is told, to the end of its stream. Listening does not prolong its session."""
    settings = exchange.services.settings.events
    now = exchange.services.clock.monotonic
    checked = spoke = now()
    while True:
        wait = min(spoke + settings.heartbeat, checked + settings.recheck) - now()
        try:
            news = await listener.next(max(wait, 0.001))
        except ListenerDropped as dropped:
            yield Ended(dropped.reason)
            return
        if now() - checked >= (settings.recheck if news is None else FRESH_SECONDS):
            if not await _may_still(exchange, topics):
                yield Ended("revoked")
                return
            checked = now()
        if news is not None:
            yield news
            spoke = now()
        elif now() - spoke >= settings.heartbeat:
            yield Heartbeat(listener.cursor)
            spoke = now()


async def _may_still(exchange: Exchange, topics: Sequence[str]) -> bool:
    """Whether the caller's session goes on and still grants the topics. Whoever cannot be asked is waited for."""
    while True:
        try:
            principal = await still(exchange)
        except Unauthenticated:
            return False
        except Unavailable:
            await asyncio.sleep(AWAY_SECONDS)
        else:
            return all(principal.permits(READ.at(topic), exchange.services.clock.now()) for topic in topics)


async def pump(
    parts: AsyncIterator[Told],
    listener: Listener,
    write: Callable[[Told], Awaitable[None]],
    gone: Callable[[], Awaitable[None]],
) -> bool:
    """Write until the stream ends or the client goes; whether it ended in order.

    A client that is dropped and does not even take the last word is cut off.
    """

    async def writing() -> None:
        async for part in parts:
            await write(part)

    tasks = {
        name: asyncio.ensure_future(work())
        for name, work in (("write", writing), ("gone", gone), ("end", listener.ended))
    }
    try:
        await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        if tasks["end"].done() and not tasks["gone"].done():
            why = tasks["end"].result()
            if isinstance(why, ListenerDropped) and why.reason == "slow":
                log.warning("a listener was dropped", detail=why.detail)
            await asyncio.wait(
                [tasks["write"], tasks["gone"]], timeout=LAST_WORD_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        if tasks["gone"].done():
            tasks["gone"].result()
        if not tasks["write"].done():
            return False
        with suppress(ConnectionError):
            tasks["write"].result()
        return True
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
