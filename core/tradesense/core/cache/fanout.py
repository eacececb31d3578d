"""From one reader of the topics to the many listeners of a process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from tradesense.core.cache.listener import Listener
from tradesense.core.cache.models import Entry, History, order
from tradesense.core.cache.ports import Topics
from tradesense.core.errors import AdapterClosed, LimitExceeded, ListenerDropped, TopicsUnavailable
from tradesense.core.telemetry.instruments import EVENT_LISTENERS, EVENT_LISTENERS_ENDED
from tradesense.core.telemetry.ports import Telemetry

WAIT = 5.0
"""Seconds that the reader waits for a message at a time."""
PAGE = 1_000
"""Messages that the reader catches up on at a time, after an outage."""
LINGER = 30.0
"""Seconds that a topic is read on when its last listener has gone, so that one who comes back finds it going."""
RETRY_SECONDS = 5.0
"""What one who finds no place is told to wait."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two attempts to reach a server that is away."""


class EventHub:
    """The fan-out of one process: however many listen here, each topic is read once, over one connection.

    To push what happens on a topic to a client of whatever protocol::

        async with hub.listen(["flags"], cursor=last_event_id) as listener:
            ...                                    # the cursor to begin with is `listener.cursor`
            while True:
                news = await listener.next(15.0)   # None: nothing for so long, send a heartbeat
                ...                                # news.message is what was published; news.gap: reload all
                ...                                # with `news.cursor` one comes back, and misses nothing

    Leaving the block, at the latest when the client goes away, frees its place. :class:`ListenerDropped` from ``next``
    ends the stream: for ``slow`` the client did not keep up, for ``closing`` the server goes. Both may come back with
    the last cursor. The reader begins with the first listener, outlives outages of the server, and makes good for them
    from the log, so that what was published meanwhile arrives late and once. It is seen by all processes as soon as
    the server has it.
    """

    def __init__(
        self,
        *,
        topics: Topics,
        telemetry: Telemetry,
        most: int = 256,
        most_bytes: int = 1_048_576,
        most_listeners: int = 1_000,
        most_per_caller: int = 16,
    ) -> None:
        """One fan-out.

        :param most_listeners: streams of this process.
        :param most_per_caller: streams of one caller in this process.
        :param most: messages that may wait for one listener; who has more waiting is dropped.
        :param most_bytes: bytes of them, likewise.
        """
        self._topics = topics
        self._telemetry = telemetry
        self._most = most
        self._most_bytes = most_bytes
        self._positions: dict[str, str] = {}
        self._listeners: dict[str, set[Listener]] = {}
        self._left: dict[str, float] = {}
        """Topics without a listener, and since when."""
        self._most_listeners = most_listeners
        self._most_per_caller = most_per_caller
        self._open: set[Listener] = set()
        self._callers: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._behind = False
        """Whether the server was away, so that a topic may have begun anew."""
        self._closing = ""

    @asynccontextmanager
    async def listen(
        self, topics: Sequence[str], *, cursor: Mapping[str, str] | None = None, caller: str = ""
    ) -> AsyncGenerator[Listener]:
        """Listen to ``topics`` from ``cursor`` on; to those that it does not name, from now on.

        :param caller: on whose behalf, where one may have only so many streams.
        :raises LimitExceeded: the caller, or the process, has as many streams as there may be.
        :raises TopicsUnavailable: where a topic stands now is not known.
        :raises ListenerDropped: the process is about to end.
        """
        self._check_room(caller)
        known = {topic: position for topic, position in (cursor or {}).items() if topic in topics}
        positions = known | {
            topic: self._positions[topic] if topic in self._positions else await self._topics.last(topic)
            for topic in topics
            if topic not in known
        }
        listener = Listener(
            self,
            positions,
            behind=list(positions),
            most=self._most,
            most_bytes=self._most_bytes,
            dropped=self._note,
        )
        self._check_room(caller)  # others may have come meanwhile
        self._open.add(listener)
        self._callers[caller] += bool(caller)
        self._count()
        for topic, position in positions.items():
            if topic in known:
                continue
            self._begin(topic, position)
            if self.attach(listener, topic, position, anyway=False):
                listener.caught_up(topic)
        try:
            yield listener
        finally:
            self._open.discard(listener)
            self._callers[caller] -= bool(caller)
            if not self._callers[caller]:
                del self._callers[caller]
            self._count()
            for topic in positions:
                self._detach(listener, topic)

    def end(self, detail: str) -> None:
        """End every stream, and let nobody listen from now on."""
        self._closing = detail
        for listener in tuple(self._open):
            listener.end("closing", detail)

    async def aclose(self) -> None:
        """End every stream and stop reading."""
        self.end("the server is closing")
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            self._reader = None

    async def history(self, topic: str, position: str, limit: int) -> History:
        """For listeners that catch up. From then on the topic is read here."""
        if topic not in self._positions:
            self._begin(topic, await self._topics.last(topic))
        return await self._topics.after(topic, position, limit)

    def attach(self, listener: Listener, topic: str, position: str, *, anyway: bool) -> bool:
        """For listeners that have caught up."""
        if topic not in self._positions or not (anyway or order(self._positions[topic]) <= order(position)):
            return False
        if listener in self._open:
            self._listeners.setdefault(topic, set()).add(listener)
            self._left.pop(topic, None)
            self._ensure_reader()
        return True

    def _begin(self, topic: str, last: str) -> None:
        """Read the topic from where it stands. What a client says of its own place never decides for the others."""
        if topic not in self._positions:
            self._positions[topic] = last
            self._left[topic] = asyncio.get_running_loop().time()  # until someone is attached
            self._changed.set()
            self._ensure_reader()

    def _ensure_reader(self) -> None:
        if not self._closing and (self._reader is None or self._reader.done()):
            self._reader = asyncio.create_task(self._read(), name="events")
            self._reader.add_done_callback(self._broke_off)

    def _check_room(self, caller: str) -> None:
        if self._closing:
            raise ListenerDropped(self._closing)
        if len(self._open) >= self._most_listeners:
            raise LimitExceeded("this process serves as many streams as it may", retry_after=RETRY_SECONDS)
        if caller and self._callers[caller] >= self._most_per_caller:
            raise LimitExceeded(f"one caller has at most {self._most_per_caller} streams", retry_after=RETRY_SECONDS)

    def _detach(self, listener: Listener, topic: str) -> None:
        listeners = self._listeners.get(topic)
        if listeners is None:
            return
        listeners.discard(listener)
        if not listeners:
            del self._listeners[topic]
            self._left[topic] = asyncio.get_running_loop().time()

    def _broke_off(self, reader: asyncio.Task[None]) -> None:
        """What nobody foresaw ends the streams there are; the next listener begins anew."""
        if reader.cancelled() or (error := reader.exception()) is None:
            return
        self._telemetry.event("events.reader-broke-off", {"error": type(error).__name__})
        self._positions.clear()
        self._listeners.clear()
        for listener in tuple(self._open):
            listener.end("closing", "the stream broke off")

    async def _read(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                if self._behind:
                    await self._catch_up()
                for entry in await self._follow():
                    self._dispatch(entry)
                pause = FIRST_PAUSE
            except AdapterClosed:
                self.end("the server is closing")
                return
            except TopicsUnavailable as error:
                if not self._behind:
                    self._telemetry.event("events.topics-away", {"error": error.code})
                self._behind = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _follow(self) -> Sequence[Entry]:
        """What comes next on any topic; nothing when the topics have changed, or after a while."""
        self._forget()
        self._changed.clear()
        following = asyncio.ensure_future(self._topics.follow(dict(self._positions), WAIT))
        changed = asyncio.ensure_future(self._changed.wait())
        waited = [following, changed] if self._positions else [changed]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            return await following if following.done() else ()
        finally:
            for task in (following, changed):
                task.cancel()
            await asyncio.gather(following, changed, return_exceptions=True)

    async def _catch_up(self) -> None:
        """Read what was published while the server was away, and see whether it has lost its memory."""
        for topic in list(self._positions):
            while True:
                history = await self._topics.after(topic, self._positions[topic], PAGE)
                if history.gap:
                    for listener in tuple(self._listeners.get(topic, ())):
                        listener.miss(topic)
                for entry in history.entries:
                    self._dispatch(entry, anew=history.gap)
                if len(history.entries) < PAGE:
                    break
        self._behind = False
        self._telemetry.event("events.topics-back", {})

    def _dispatch(self, entry: Entry, *, anew: bool = False) -> None:
        self._positions[entry.topic] = entry.position
        for listener in tuple(self._listeners.get(entry.topic, ())):
            listener.offer(entry, anew=anew)

    def _forget(self) -> None:
        """Read no more what nobody has listened to for a while."""
        now = asyncio.get_running_loop().time()
        for topic in [topic for topic, since in self._left.items() if now - since > LINGER]:
            del self._left[topic]
            self._positions.pop(topic, None)

    def _note(self, ended: ListenerDropped) -> None:
        self._telemetry.bind(EVENT_LISTENERS_ENDED, (ended.reason,))(1)

    def _count(self) -> None:
        self._telemetry.bind(EVENT_LISTENERS)(len(self._open))
