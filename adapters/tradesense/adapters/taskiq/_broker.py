"""taskiq's broker on Redis streams, completed: it gives back, retries and takes over jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from taskiq.abc.serializer import TaskiqSerializer
from taskiq.acks import AckableMessage
from taskiq.message import BrokerMessage
from taskiq_redis import RedisStreamBroker

from tradesense.adapters.taskiq._connection import FAILURES, Client
from tradesense.adapters.taskiq._pool import pool_of
from tradesense.adapters.taskiq._streams import FIELD, GROUP, Delivery, Entry, Envelope, Streams
from tradesense.adapters.taskiq.settings import TaskiqSettings

BLOCK_SECONDS = 0.25
"""How long one request for jobs waits; also how late a job that is due may come."""
SUSPECT_SECONDS = 0.05
"""The same while jobs with which workers were lost wait for their turn."""
UNUSED = "redis://127.0.0.1"
"""What the library makes a pool of, which ours takes the place of before anything is connected."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0

_log = logging.getLogger(__name__)


class JsonSerializer(TaskiqSerializer):
    """Messages are JSON."""

    def dumpb(self, value: Any) -> bytes:
        """Encode."""
        return msgspec.json.encode(value)

    def loadb(self, value: bytes) -> Any:
        """Decode."""
        return msgspec.json.decode(value)


class JobBroker(RedisStreamBroker):
    """One worker's share of the stream.

    taskiq-redis looks for the jobs of lost workers only after it has received a new one, keeps acknowledged entries
    in the stream, and lets a long job be taken over while it is being done; so these parts are our own.
    """

    def __init__(self, settings: TaskiqSettings, streams: Streams, worker: str) -> None:
        super().__init__(
            UNUSED,
            queue_name=streams.stream,
            consumer_group_name=GROUP,
            consumer_name=worker,
            consumer_id="0",
            max_connection_pool_size=1,
        )
        self.connection_pool = pool_of(settings, 2)
        self.with_serializer(JsonSerializer())
        self.worker = worker
        self.streams = streams
        self.running: dict[str, Delivery] = {}
        """What was handed to this worker and is not settled, by the envelope's task."""
        self._room = settings.job_concurrency
        self._idle = settings.job_idle_seconds
        self._gather_at = 0.0

    async def kick(self, message: BrokerMessage) -> None:
        """Put a message into the stream, without a key."""
        await self.streams.offer(Envelope(message.task_id, 0, message.message), "")

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Messages for this worker, without end; while the server is away it waits for it."""
        pause, declared = FIRST_PAUSE, False
        while True:
            try:
                if not declared:
                    async with asyncio.timeout(self.streams.timeout):
                        await self._declare_consumer_group()
                    declared = True
                deliveries = await self._deliveries()
            except FAILURES as error:
                if pause == FIRST_PAUSE:
                    _log.warning("no jobs from redis (%s); going on when it is back", type(error).__name__)
                declared = declared and not isinstance(error, ResponseError)  # the server has lost its memory
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            for one in deliveries:
                yield AckableMessage(data=one.envelope.data, ack=self._finisher(one))

    async def finish(self, one: Delivery, keys: Sequence[str] = ()) -> None:
        """The job needs no further attempt."""
        await self.streams.finish(self.worker, one.id, keys)
        self.running.pop(one.envelope.task, None)

    async def _deliveries(self) -> list[Delivery]:
        now = asyncio.get_running_loop().time()
        room = max(1, self._room - len(self.running))
        if now >= self._gather_at:
            # What a worker was lost with may kill this one too. Done one at a time, it takes none of the others along.
            one = not any(delivery.suspect for delivery in self.running.values())
            claimed, due, more = await self.streams.gather(self.worker, int(self._idle * 1000), int(one))
            self._gather_at = now + min(due, SUSPECT_SECONDS if more else BLOCK_SECONDS)
            if claimed:
                return self._taken(claimed)
        return self._taken(await self._read(room, max(self._gather_at - now, 0.001)))

    async def _read(self, count: int, seconds: float) -> list[Delivery]:
        redis: Client = Redis(connection_pool=self.connection_pool)
        async with asyncio.timeout(seconds + self.streams.timeout):
            answer = await redis.xreadgroup(
                GROUP, self.worker, {self.queue_name: ">"}, count=count, block=max(1, int(seconds * 1000))
            )
        entries = [
            Entry(id_.decode(), fields.get(FIELD.encode(), b"")) for _, rows in answer or () for id_, fields in rows
        ]
        return await self.streams.deliveries(self.worker, entries)

    def _taken(self, deliveries: list[Delivery]) -> list[Delivery]:
        """What is new to this worker; a job that it is still doing may come again when it stood still for long."""
        new = [one for one in deliveries if one.envelope.task not in self.running]
        self.running.update((one.envelope.task, one) for one in new)
        return new

    def _finisher(self, one: Delivery) -> Any:
        return lambda: self.finish(one)
