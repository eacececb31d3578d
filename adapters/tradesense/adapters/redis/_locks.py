"""Leases with fencing tokens; who waits for one is woken when it is given back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from weakref import WeakValueDictionary

from tradesense.adapters.redis._batches import Asked
from tradesense.adapters.redis._client import RedisAdapter, RedisClients, Script, milliseconds
from tradesense.adapters.redis._commands import Client
from tradesense.core.ambient import Random
from tradesense.core.cache.models import Lease, check_lease
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import LocksUnavailable

OWNER_BYTES = 16
FENCE_MILLISECONDS = 24 * 60 * 60 * 1000
HAND_OVER_MILLISECONDS = 1000
LONGEST_NAP = 1.0
"""Seconds after which a waiter looks again although nobody called it: the one who was called may have died."""
SHORTEST_NAP = 0.01
MOST_TOGETHER = 64
"""Leases that one run of a script is about; the server does nothing else meanwhile."""

_Claim = tuple[str, str, str, int]
"""The keys of the lease and of its fence, the owner, and milliseconds."""

# The fencing token is the last one plus one, but never less than the server's clock in microseconds. So tokens go on
# growing when the server has lost its memory, and the last one need not be kept for ever.
_ACQUIRE = Script("""
local time = redis.call('time')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local answers = {}
for i = 1, #KEYS, 2 do
  local lock, fence, at = KEYS[i], KEYS[i + 1], (i - 1) / 2 * 3
  if redis.call('set', lock, ARGV[at + 1], 'NX', 'PX', ARGV[at + 2]) then
    local token = math.max(tonumber(redis.call('get', fence) or '0') + 1, now)
    redis.call('set', fence, string.format('%.0f', token), 'PX', ARGV[at + 3])
    answers[#answers + 1] = token
  else
    answers[#answers + 1] = -math.max(redis.call('pttl', lock), 1)
  end
end
return answers
""")
_RENEW = Script("""
local answers = {}
for i, lock in ipairs(KEYS) do
  if redis.call('get', lock) == ARGV[i * 2 - 1] then
    answers[i] = redis.call('pexpire', lock, ARGV[i * 2])
  else
    answers[i] = 0
  end
end
return answers
""")
# The list holds one call at most. It wakes the waiter who has waited longest, and is forgotten where nobody waits.
_RELEASE = Script("""
local answers = {}
for i = 1, #KEYS, 2 do
  local lock, calls, at = KEYS[i], KEYS[i + 1], (i + 1) / 2
  if redis.call('get', lock) == ARGV[at + 1] then
    redis.call('del', lock, calls)
    redis.call('rpush', calls, '1')
    redis.call('pexpire', calls, ARGV[1])
    answers[at] = 1
  else
    answers[at] = 0
  end
end
return answers
""")


class RedisLocks(RedisAdapter):
    """A lease is a key that holds its owner; only the owner can renew or release it.

    What many tasks ask for in one turn of the event loop goes to the server together.
    """

    def __init__(self, clients: RedisClients, random: Random) -> None:
        super().__init__(clients, LocksUnavailable)
        self._random = random
        # Of the waiters in one process, one waits on the server for each name; the others wait for their turn here.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._returns: set[asyncio.Task[None]] = set()
        self._acquires = self._batched(_acquire_all, most=MOST_TOGETHER)
        self._renewals = self._batched(_renew_all, most=MOST_TOGETHER)
        self._releases = self._batched(_release_all, most=MOST_TOGETHER)
        self._locks, self._fences, self._calls = (self._key(kind, "") for kind in ("lock", "lock-fence", "lock-calls"))

    async def __aexit__(self, *details: object) -> None:
        if self._returns:
            await asyncio.wait(self._returns)
        await super().__aexit__(*details)

    async def acquire(self, name: str, ttl: float, *, wait: float = 0) -> Lease | None:
        """A part of one round trip. A lease whose answer was lost ends by itself after ``ttl``."""
        check_lease(name, ttl)
        owner = self._random.bytes(OWNER_BYTES).hex()
        token = await self._try(name, owner, ttl)
        if token <= 0 and wait > 0:
            token = await self._wait(name, owner, ttl, wait)
        return Lease(name=name, owner=owner, token=token, ttl=ttl) if token > 0 else None

    async def renew(self, lease: Lease) -> bool:
        """A part of one round trip."""
        self._check_open()
        check_lease(lease.name, lease.ttl)
        return await self._renewals.ask((self._locks + lease.name, lease.owner, milliseconds(lease.ttl))).answer

    async def release(self, lease: Lease) -> bool:
        """A part of one round trip, which calls one waiter. It is sent though its caller is cancelled."""
        self._check_open()
        check_lease(lease.name, lease.ttl)
        return await asyncio.shield(self._release(lease.name, lease.owner).answer)

    async def _try(self, name: str, owner: str, ttl: float) -> int:
        """The fencing token, or minus the milliseconds that the other's lease has left.

        Cancelled while the server is asked, it waits for the outcome and gives back what was taken.
        """
        self._check_open()
        asked = self._acquires.ask((self._locks + name, self._fences + name, owner, milliseconds(ttl)))
        try:
            return await asked.answer
        except asyncio.CancelledError:
            if asked.sent:
                task = asyncio.create_task(self._undo(asked, name, owner))
                self._returns.add(task)
                task.add_done_callback(self._returns.discard)
                await asyncio.wait([task])
            raise

    async def _undo(self, asked: Asked[_Claim, int], name: str, owner: str) -> None:
        with suppress(LocksUnavailable):
            if await asked.again() > 0:
                await self._release(name, owner).answer

    def _release(self, name: str, owner: str) -> Asked[tuple[str, str, str], bool]:
        return self._releases.ask((self._locks + name, self._calls + name, owner))

    async def _wait(self, name: str, owner: str, ttl: float, wait: float) -> int:
        now = asyncio.get_running_loop().time
        deadline = now() + wait
        turn = self._turns.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout_at(deadline):
                await turn.acquire()
        except TimeoutError:
            return 0
        try:
            while (token := await self._try(name, owner, ttl)) <= 0 and (left := deadline - now()) > 0:
                await self._called(name, min(left, -token / 1000, LONGEST_NAP))
        finally:
            turn.release()
        return token

    async def _called(self, name: str, seconds: float) -> None:
        """Return when the lease was given back, or ``seconds`` have passed."""
        redis = self._clients.waiting
        nap = max(seconds, SHORTEST_NAP)
        async with self._bounded(nap + self._clients.timeout):
            await redis.blpop([self._calls + name], timeout=nap)


async def _acquire_all(redis: Client, claims: list[_Claim]) -> Sequence[int]:
    keys, arguments = list[str](), list[str | int]()
    for lock, fence, owner, life in claims:
        keys += (lock, fence)
        arguments += (owner, life, life + FENCE_MILLISECONDS)
    tokens: list[int] = await _ACQUIRE(redis, keys, arguments)
    return tokens


async def _renew_all(redis: Client, renewals: list[tuple[str, str, int]]) -> Sequence[bool]:
    arguments = [argument for _, owner, life in renewals for argument in (owner, life)]
    return [answer == 1 for answer in await _RENEW(redis, [lock for lock, _, _ in renewals], arguments)]


async def _release_all(redis: Client, releases: list[tuple[str, str, str]]) -> Sequence[bool]:
    keys = [key for lock, calls, _ in releases for key in (lock, calls)]
    arguments: list[str | int] = [HAND_OVER_MILLISECONDS, *(owner for _, _, owner in releases)]
    return [answer == 1 for answer in await _RELEASE(redis, keys, arguments)]


_: type[LockProvider] = RedisLocks
