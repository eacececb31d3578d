"""One process's part in a consumer group: reading, handling, acknowledging, trying again, giving up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tradesense.core.acting import Who, acting, declared
from tradesense.core.cache.cloudevents import CloudEvent, decode
from tradesense.core.cache.models import Delivery
from tradesense.core.cache.ports import DeadLetters, TopicGroups
from tradesense.core.errors import InvalidInput, TopicsUnavailable
from tradesense.core.telemetry.instruments import EVENTS_HANDLED
from tradesense.core.telemetry.ports import Telemetry

AT_ONCE = 16
"""Events that one consumer handles at a time."""
LONGEST_WAIT = 5.0
"""Seconds that it waits for an event before it looks for what others have left."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two attempts to reach a server that is away."""
GRACE = 5.0
"""Seconds that handlers have to end when the consumer is stopped."""
PATIENCE = 0.8
"""The part of the time until an event is handed to another that its handler may take."""

EventHandler = Callable[[CloudEvent], Awaitable[None]]


class Consumer:
    """Hands the events of a topic that fall to it to ``handle``, several at once, until :meth:`run` is cancelled."""

    def __init__(
        self,
        *,
        groups: TopicGroups,
        letters: DeadLetters,
        topic: str,
        group: str,
        name: str,
        handle: EventHandler,
        telemetry: Telemetry,
        attempts: int,
        retry: float,
        earliest: bool,
    ) -> None:
        """One consumer.

        :param name: its own in the group.
        :param attempts: how often an event is handed out before it is given up.
        :param retry: seconds after which an event that is not acknowledged is handed out again; a handler is
            cancelled after four fifths of it, so that no two handle one event at a time.
        :param earliest: whether a new group begins with all that the topic holds.
        :raises ConfigurationError: ``handle`` does not declare who acts in it.
        """
        self.topic = topic
        self.group = group
        self._groups = groups
        self._letters = letters
        self._name = name
        self._handle = handle
        self._guard = declared(handle, f"the subscriber {group} to {topic}", who=Who.SYSTEM)
        self._telemetry = telemetry
        self._attempts = attempts
        self._retry = retry
        self._earliest = earliest
        self._wait = min(LONGEST_WAIT, retry / 2)
        self._running: dict[str, asyncio.Task[None]] = {}
        """What is being handled, by its receipt."""
        self._claim_at = 0.0
        """When, by the loop's clock, one looks again for what others left."""

    async def run(self) -> None:
        """Work until cancelled. While the server is away it waits for it."""
        pause, joined = FIRST_PAUSE, False
        try:
            while True:
                try:
                    joined = joined or await self._join()
                    await self._turn()
                    pause = FIRST_PAUSE
                except TopicsUnavailable as error:
                    if pause == FIRST_PAUSE:
                        self._tell("waits", error=error.code)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            try:
                await self._end()
            finally:
                await self._leave()

    async def _join(self) -> bool:
        await self._groups.join(self.topic, self.group, earliest=self._earliest)
        return True

    async def _turn(self) -> None:
        """What others left, then what is new, or a wait for it; no more than there are hands for."""
        while len(self._running) >= AT_ONCE:
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
            self._reap()
        now = asyncio.get_running_loop().time()
        if now >= self._claim_at:
            room = self._room()
            left = await self._groups.claim(self.topic, self.group, self._name, idle=self._retry, limit=room)
            self._begin(left)
            if len(left) < room:
                self._claim_at = now + self._wait
        if room := self._room():
            self._begin(await self._groups.read(self.topic, self.group, self._name, limit=room, wait=self._wait))
        self._reap()

    def _room(self) -> int:
        return AT_ONCE - len(self._running)

    def _begin(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.receipt not in self._running:  # a process that stood still may be given its own again
                self._running[delivery.receipt] = asyncio.create_task(self._deliver(delivery))

    def _reap(self) -> None:
        """Let go of those that have ended, so that one slow event holds up no other.

        :raises TopicsUnavailable: of one of them it could not be said what became of it; it is handed out again.
        """
        ended = {receipt: task for receipt, task in self._running.items() if task.done()}
        for receipt in ended:
            del self._running[receipt]
        errors = [error for task in ended.values() if not task.cancelled() and (error := task.exception())]
        if errors:
            raise errors[0]

    async def _end(self) -> None:
        """Let what was begun end, for a while; cut off what has not."""
        tasks = tuple(self._running.values())
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=GRACE)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, delivery: Delivery) -> None:
        """Handle one event, and say what became of it."""
        if delivery.attempt > self._attempts:  # whoever had it last died, or stood still, over it
            await self._bury(delivery, "abandoned")
            return
        try:
            event = decode(delivery.message)
        except InvalidInput as error:
            await self._bury(delivery, type(error).__name__)
            return
        try:
            async with asyncio.timeout(self._retry * PATIENCE):
                with acting(self._guard):
                    await self._handle(event)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await self._failed(delivery, error)  # what the handler awaited was cancelled, and not this consumer
            return
        except Exception as error:  # noqa: BLE001  # whatever a handler raises, the event comes again
            await self._failed(delivery, error)
            return
        await self._groups.acknowledge(self.topic, self.group, [delivery.receipt])
        self._count("done")

    async def _failed(self, delivery: Delivery, error: BaseException) -> None:
        reason = type(error).__name__
        self._tell("failed", position=delivery.position, attempt=delivery.attempt, error=reason)
        if delivery.attempt >= self._attempts:
            await self._bury(delivery, reason)
        else:
            self._count("failed")

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        if await self._letters.bury(self.group, delivery, reason):
            self._tell("dead", position=delivery.position, attempt=delivery.attempt, error=reason)
            self._count("dead")

    async def _leave(self) -> None:
        """Give back what is still held, so that nobody need wait for it."""
        try:
            await self._groups.leave(self.topic, self.group, self._name)
        except TopicsUnavailable as error:
            self._tell("left-unsaid", error=error.code)

    def _count(self, outcome: str) -> None:
        self._telemetry.bind(EVENTS_HANDLED, (self.topic, self.group, outcome))(1)

    def _tell(self, what: str, **about: str | int) -> None:
        self._telemetry.event(f"events.consumer-{what}", {"topic": self.topic, "group": self.group, **about})
