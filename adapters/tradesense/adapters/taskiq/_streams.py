"""What the queue keeps on the server, and the steps that change it, each of them one script.

A stream holds the jobs that wait or are being done; a sorted set those that wait for another attempt, by the time
when they are due; a list the dead ones. One key for each key of a job keeps it from being taken twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from redis.exceptions import NoScriptError

from tradesense.adapters.taskiq._connection import Client
from tradesense.core.jobs.models import DeadJob

_log = logging.getLogger(__name__)

GROUP = "workers"
FIELD = "e"
KEPT_DEAD = 1000
KEY_MILLISECONDS = 24 * 60 * 60 * 1000
"""How long the key of a job that is done is remembered."""
UNDONE_MILLISECONDS = 30 * KEY_MILLISECONDS
"""How long that of one which is not, from the last time that it was offered; only what is never done comes so far."""
LEFT = "-"
"""Who holds what was handed to a worker that has left, and to another that was lost before. It is no worker's name."""
LONG_AGO = 365 * KEY_MILLISECONDS
"""Milliseconds since which nobody has held it."""


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """A message of taskiq with what the queue itself needs to know of it."""

    task: str
    """Names this job in the queue; attempts of one job share it."""
    failures: int
    data: bytes


class Delivery(msgspec.Struct, frozen=True):
    """An envelope that was handed to this worker."""

    id: str
    """The stream's id of this attempt."""
    envelope: Envelope
    suspect: bool = False
    """Whether a worker was lost with it, so that it may be what killed it."""


class Entry(msgspec.Struct, frozen=True):
    """A stream's entry as the server hands it over."""

    id: str
    row: bytes
    lost: int = 0
    """How many workers it was handed to before, none of which settled it. Each counts as a failure."""


class Script:
    """A Lua script, which the server runs as one step and keeps by its digest."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Client, keys: Sequence[str], arguments: Iterable[str | int | bytes]) -> Any:
        """Run it; a server that does not know it yet is given the source."""
        try:
            return await redis.evalsha(self._digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await redis.eval(self._source, len(keys), *keys, *arguments)


# A key holds 1 until its job is done. Who offers that again shows that it is needed still.
_OFFER = Script("""
if ARGV[2] ~= '0' and not redis.call('set', KEYS[2], '1', 'NX', 'PX', ARGV[2]) then
  if redis.call('get', KEYS[2]) == '1' then redis.call('pexpire', KEYS[2], ARGV[2]) end
  return 0
end
redis.call('xadd', KEYS[1], '*', 'e', ARGV[1])
return 1
""")
# Jobs that are due go into the stream; jobs of workers that gave no sign of life come to this one. The answer is what
# was claimed, with the number of times it was delivered before, the milliseconds until the next job is due, and whether
# there is more to claim.
_GATHER = Script("""
local stream, later = KEYS[1], KEYS[2]
local group, me, idle, count = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local time = redis.call('time')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local due = redis.call('zrange', later, '-inf', string.format('%.0f', now), 'byscore', 'limit', 0, 100)
for _, envelope in ipairs(due) do
  redis.call('zrem', later, envelope)
  redis.call('xadd', stream, '*', 'e', envelope)
end
local claimed, more = {}, 0
for place, pending in ipairs(redis.call('xpending', stream, group, 'idle', idle, '-', '+', count + 1)) do
  if place > count then
    more = 1
  else
    for _, entry in ipairs(redis.call('xclaim', stream, group, me, idle, pending[1])) do
      claimed[#claimed + 1] = {entry[1], entry[2][2], pending[4]}
    end
  end
end
local first = redis.call('zrange', later, 0, 0, 'withscores')
return {claimed, first[2] and math.max(tonumber(first[2]) - now, 0) or -1, more}
""")
# Another worker may have claimed the job meanwhile; then it is not ours to move.
_OURS = """
if #redis.call('xpending', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then return 0 end
"""
_DONE = """
redis.call('xack', KEYS[1], ARGV[1], ARGV[3])
redis.call('xdel', KEYS[1], ARGV[3])
"""
_FINISH = Script(
    _DONE
    + """
for i = 2, #KEYS do redis.call('set', KEYS[i], '', 'XX', 'PX', ARGV[4]) end
"""
)
_RETRY = Script(
    _OURS
    + _DONE
    + """
local time = redis.call('time')
local due = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[5])
return redis.call('zadd', KEYS[2], string.format('%.0f', due), ARGV[4])
"""
)
_BURY = Script(
    _OURS
    + _DONE
    + """
redis.call('rpush', KEYS[2], ARGV[4])
redis.call('ltrim', KEYS[2], -tonumber(ARGV[5]), -1)
for i = 3, #KEYS do redis.call('del', KEYS[i]) end
return 1
"""
)
_KEEP = Script("""
for place = 3, #ARGV do
  if #redis.call('xpending', KEYS[1], ARGV[1], ARGV[place], ARGV[place], 1, ARGV[2]) == 1 then
    redis.call('xclaim', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[place], 'justid')
  end
end
""")
# What took a worker with it before is left to be claimed, one by one and with its count; the rest is as if new.
_LEAVE = Script("""
local stream, group, me, left, ago = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
for _, pending in ipairs(redis.call('xpending', stream, group, '-', '+', 10000, me)) do
  if pending[4] > 1 then
    redis.call('xclaim', stream, group, left, 0, pending[1], 'idle', ago, 'retrycount', pending[4] - 1, 'justid')
  else
    for _, entry in ipairs(redis.call('xrange', stream, pending[1], pending[1])) do
      redis.call('xadd', stream, '*', 'e', entry[2][2])
    end
    redis.call('xack', stream, group, pending[1])
    redis.call('xdel', stream, pending[1])
  end
end
redis.call('xgroup', 'delconsumer', stream, group, me)
""")


class Streams:
    """The queue's keys under one prefix, and the steps on them. Errors are the client library's."""

    def __init__(self, redis: Client, prefix: str, timeout: float) -> None:
        self._redis = redis
        self.timeout = timeout
        self.stream = f"{prefix}jobs"
        self._later = f"{prefix}jobs-later"
        self._dead = f"{prefix}jobs-dead"
        self._keys = f"{prefix}jobs-key:"

    async def offer(self, envelope: Envelope, key: str) -> bool:
        """Put a job into the stream, unless one with the same non-empty key is there or was done within a day."""
        keys = [self.stream, self._keys + key]
        life = UNDONE_MILLISECONDS if key else 0
        return bool(await self._run(_OFFER, keys, [msgspec.msgpack.encode(envelope), life]))

    async def depth(self) -> int:
        """How many jobs are in the stream or wait for another attempt."""
        async with asyncio.timeout(self.timeout), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.xlen(self.stream)
            pipeline.zcard(self._later)
            return sum(await pipeline.execute())

    async def dead(self) -> tuple[DeadJob, ...]:
        """The dead jobs, oldest first."""
        async with asyncio.timeout(self.timeout):
            rows: list[bytes] = await self._redis.lrange(self._dead, 0, -1)
        return tuple(msgspec.json.decode(row, type=DeadJob) for row in rows)

    async def drop(self, ids: Collection[str]) -> int:
        """Remove these jobs from the dead; returns how many were there."""
        async with asyncio.timeout(self.timeout):
            rows: list[bytes] = await self._redis.lrange(self._dead, 0, -1)
        dropped = 0
        for row in rows:
            if msgspec.json.decode(row, type=DeadJob).job.id in ids:
                async with asyncio.timeout(self.timeout):
                    dropped += await self._redis.lrem(self._dead, 1, row)
        return dropped

    async def gather(self, worker: str, idle: int, count: int) -> tuple[list[Delivery], float, bool]:
        """Take over what a silent worker left, and bring back what is due.

        :param idle: milliseconds of silence.
        :return: what was taken over, the seconds until the next job is due, infinite when there is none, and whether
            there is more to take over.
        """
        answer = await self._run(_GATHER, [self.stream, self._later], [GROUP, worker, idle, count])
        claimed: list[tuple[bytes, bytes, int]] = answer[0]
        due: int = answer[1]
        entries = [Entry(id_.decode(), row, lost) for id_, row, lost in claimed]
        found = await self.deliveries(worker, entries)
        return found, due / 1000 if due >= 0 else float("inf"), answer[2] == 1

    async def finish(self, worker: str, id_: str, keys: Sequence[str] = ()) -> None:
        """The job was done. Its keys are remembered for a day."""
        places = [self.stream, *(self._keys + key for key in keys)]
        await self._run(_FINISH, places, [GROUP, worker, id_, KEY_MILLISECONDS])

    async def retry(self, worker: str, id_: str, envelope: Envelope, milliseconds: int) -> None:
        """Let the job wait for another attempt."""
        row = msgspec.msgpack.encode(envelope)
        await self._run(_RETRY, [self.stream, self._later], [GROUP, worker, id_, row, milliseconds])

    async def bury(self, worker: str, id_: str, dead: DeadJob, keys: Sequence[str]) -> None:
        """Put the job among the dead. Its keys are free."""
        row = msgspec.json.encode(dead)
        places = [self.stream, self._dead, *(self._keys + key for key in keys)]
        await self._run(_BURY, places, [GROUP, worker, id_, row, KEPT_DEAD])

    async def keep(self, worker: str, ids: Iterable[str]) -> None:
        """A sign of life for the jobs that this worker still does."""
        await self._run(_KEEP, [self.stream], [GROUP, worker, *ids])

    async def leave(self, worker: str) -> None:
        """Give back all that was handed to this worker, for others to do at once."""
        await self._run(_LEAVE, [self.stream], [GROUP, worker, LEFT, LONG_AGO])

    async def _run(self, script: Script, keys: Sequence[str], arguments: Iterable[str | int | bytes]) -> Any:
        async with asyncio.timeout(self.timeout):
            return await script(self._redis, keys, arguments)

    async def deliveries(self, worker: str, entries: Iterable[Entry]) -> list[Delivery]:
        """What the entries say. One that says nothing is dropped, as it would come again and again."""
        found: list[Delivery] = []
        for entry in entries:
            try:
                envelope = msgspec.msgpack.decode(entry.row, type=Envelope)
            except (msgspec.DecodeError, UnicodeDecodeError):
                _log.error(
                    "entry %s of %s cannot be read and is dropped", entry.id, self.stream
                )  # the decoder's traceback tells nothing of who wrote it
                await self.finish(worker, entry.id)
                continue
            failures = envelope.failures + entry.lost
            found.append(Delivery(entry.id, msgspec.structs.replace(envelope, failures=failures), entry.lost > 0))
        return found
