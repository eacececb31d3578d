"""Publishing events on topics, and working them off in groups."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from msgspec import UNSET

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock, Ids
from tradesense.core.cache.cloudevents import CloudEvent, encode
from tradesense.core.cache.consumer import Consumer, EventHandler
from tradesense.core.cache.models import DeadLetter, TopicSummary, check_topic
from tradesense.core.cache.ports import DeadLetters, TopicGroups, TopicOverview, Topics
from tradesense.core.capabilities import Capability
from tradesense.core.errors import ConfigurationError
from tradesense.core.paging import MAX_PAGE, Page
from tradesense.core.telemetry.cause import CAUSE
from tradesense.core.telemetry.instruments import EVENTS_PUBLISHED
from tradesense.core.telemetry.ports import Telemetry

ATTEMPTS = 5
RETAIN = 10_000
RETRY = 30.0


class Events:
    """Events on topics, each a :class:`CloudEvent`. What is published is delivered **at least once**.

    Who must do nothing twice remembers ``source`` and ``id`` of what was done, in the same transaction as the deed.
    """

    def __init__(
        self,
        *,
        topics: Topics,
        capabilities: frozenset[Capability],
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        retain: int = RETAIN,
        attempts: int = ATTEMPTS,
        retry: float = RETRY,
        retain_for: float = 0,
        dead_for: float = 0,
    ) -> None:
        self._topics = topics
        self._capabilities = capabilities
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._retain = retain
        self._attempts = attempts
        self._retry = retry
        self._retain_for = retain_for
        self._dead_for = dead_for
        self._consumers: list[Consumer] = []

    async def publish(self, topic: str, event: CloudEvent) -> str:
        """Append the event to the topic and return its position.

        :raises InvalidTopic: the name is none.
        :raises InvalidEvent: the event is not as CloudEvents 1.0 has it.
        :raises EventTooLarge: its JSON has more than 64 KiB.
        :raises TopicsUnavailable: it was not taken or, where the answer was lost, may have been.
        """
        position = await self._topics.publish(check_topic(topic), encode(event), retain=self._retain)
        self._telemetry.bind(EVENTS_PUBLISHED)(1)
        return position

    async def emit(
        self, topic: str, kind: str, data: Any = UNSET, *, subject: str = "", source: str = "/tradesense"
    ) -> CloudEvent:
        """Make an event of now, with the trace of its cause, publish it and return it. Raises as :meth:`publish`."""
        _, trace = CAUSE.get() or ("", None)
        event = CloudEvent(
            id=self._ids.new(),
            source=source,
            type=kind,
            time=self._clock.now(),
            subject=subject,
            data=data,
            extensions={"traceparent": trace.traceparent()} if trace else {},
        )
        await self.publish(topic, event)
        return event

    def subscribe(self, topic: str, group: str, handle: EventHandler, *, earliest: bool = False) -> None:
        """Let ``handle`` be given the topic's events, each to one process of the group, while :meth:`work` runs.

        A handler that raises is given its event again after a while, five times at most; then the event is a dead
        letter. It may be given one event twice in any case.

        :param earliest: a new group begins with all that the topic holds, and not with what is published from now on.
        :raises ConfigurationError: the adapter of the topics has no groups, or ``handle`` declares no
            :func:`~tradesense.core.acting.as_system`.
        """
        groups, letters = self.groups, self.letters
        self._consumers.append(
            Consumer(
                groups=groups,
                letters=letters,
                topic=check_topic(topic),
                group=check_topic(group),
                name=self._ids.new(),
                handle=handle,
                telemetry=self._telemetry,
                attempts=self._attempts,
                retry=self._retry,
                earliest=earliest,
            )
        )

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Topic and group of everyone who has subscribed, as in ``orders billing``."""
        return tuple(f"{consumer.topic} {consumer.group}" for consumer in self._consumers)

    async def work(self) -> None:
        """Work off the events of every subscription until cancelled; what was begun is then finished or given back."""
        if not self._consumers:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as tasks:
            for consumer in self._consumers:
                tasks.create_task(consumer.run())

    @property
    def groups(self) -> TopicGroups:
        """The adapter's consumer groups.

        :raises ConfigurationError: it has none.
        """
        return cast("TopicGroups", self._declared(Capability.GROUPS))

    @property
    def letters(self) -> DeadLetters:
        """The adapter's dead letters.

        :raises ConfigurationError: it keeps none.
        """
        return cast("DeadLetters", self._declared(Capability.DEAD_LETTERS))

    @property
    def listed(self) -> bool:
        """Whether the adapter tells which topics there are, and removes what is old."""
        return Capability.OVERVIEW in self._capabilities

    async def overview(self) -> Sequence[TopicSummary]:
        """Every topic that holds an event or has a group, by name.

        :raises ConfigurationError: the adapter of the topics does not tell.
        """
        return await cast("TopicOverview", self._declared(Capability.OVERVIEW)).overview()

    @as_system()
    async def expire(self) -> int:
        """Remove events and dead letters that are older than the deployment keeps them; returns how many went.

        :raises ConfigurationError: the adapter of the topics does not do that.
        """
        topics = cast("TopicOverview", self._declared(Capability.OVERVIEW))
        return await topics.expire(messages=self._retain_for or None, letters=self._dead_for or None)

    async def dead(self, topic: str, group: str, *, cursor: str | None = None, limit: int = 100) -> Page[DeadLetter]:
        """A page of what the group has given up, oldest first."""
        return await self.letters.dead(
            check_topic(topic), check_topic(group), cursor=cursor, limit=max(1, min(limit, MAX_PAGE))
        )

    async def replay(self, topic: str, group: str, ids: Sequence[str]) -> int:
        """Hand these dead letters out to their group again; how many there were."""
        return await self.letters.replay(check_topic(topic), check_topic(group), ids)

    async def discard(self, topic: str, group: str, ids: Sequence[str]) -> int:
        """Remove these dead letters; how many there were."""
        return await self.letters.discard(check_topic(topic), check_topic(group), ids)

    def _declared(self, capability: Capability) -> object:
        if capability not in self._capabilities:
            raise ConfigurationError(
                f"the adapter of the topics does not declare {capability.value}",
                origin="cache.topics",
                mend="choose another; see `tradesense plugins list`",
            )
        return self._topics
