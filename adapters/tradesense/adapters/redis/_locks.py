"""Leases with fencing tokens; who waits for one is woken when it is given back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from weakref import WeakValueDictionary

from tradesense.adapters.redis._client import RedisAdapter, RedisClients, Script, milliseconds
from tradesense.core.ambient import Random
from tradesense.core.cache.models import Lease
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import LocksUnavailable

OWNER_BYTES = 16
FENCE_MILLISECONDS = 24 * 60 * 60 * 1000
HAND_OVER_MILLISECONDS = 1000
LONGEST_NAP = 1.0
"""Seconds after which a waiter looks again although nobody called it: the one who was called may have died."""
SHORTEST_NAP = 0.01

# The fencing token is the last one plus one, but never less than the server's clock in microseconds. So tokens go on
# growing when the server has lost its memory, and the last one need not be kept for ever.
_ACQUIRE = Script("""
local lock, fence = KEYS[1], KEYS[2]
if not redis.call('set', lock, ARGV[1], 'NX', 'PX', ARGV[2]) then
  return -math.max(redis.call('pttl', lock), 1)
end
local time = redis.call('time')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local token = math.max(tonumber(redis.call('get', fence) or '0') + 1, now)
redis.call('set', fence, string.format('%.0f', token), 'PX', ARGV[3])
return token
""")
_RENEW = Script("""
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('pexpire', KEYS[1], ARGV[2])
""")
# The list holds one call at most. It wakes the waiter who has waited longest, and is forgotten where nobody waits.
_RELEASE = Script("""
local lock, calls = KEYS[1], KEYS[2]
if redis.call('get', lock) ~= ARGV[1] then return 0 end
redis.call('del', lock, calls)
redis.call('rpush', calls, '1')
redis.call('pexpire', calls, ARGV[2])
return 1
""")


class RedisLocks(RedisAdapter):
    """A lease is a key that holds its owner; only the owner can renew or release it."""

    def __init__(self, clients: RedisClients, random: Random) -> None:
        super().__init__(clients, LocksUnavailable)
        self._random = random
        # Of the waiters in one process, one waits on the server for each name; the others wait for their turn here.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def acquire(self, name: str, ttl: float, *, wait: float = 0) -> Lease | None:
        """One script. A lease whose answer was lost ends by itself after ``ttl``."""
        owner = self._random.bytes(OWNER_BYTES).hex()
        token = await self._try(name, owner, ttl)
        if token <= 0 and wait > 0:
            token = await self._wait(name, owner, ttl, wait)
        return Lease(name=name, owner=owner, token=token, ttl=ttl) if token > 0 else None

    async def renew(self, lease: Lease) -> bool:
        """One script."""
        redis = self._redis
        async with self._bounded():
            return bool(await _RENEW(redis, [self._lock(lease.name)], [lease.owner, milliseconds(lease.ttl)]))

    async def release(self, lease: Lease) -> bool:
        """One script, which calls one waiter."""
        return await self._release(lease.name, lease.owner)

    async def _try(self, name: str, owner: str, ttl: float) -> int:
        """The fencing token, or minus the milliseconds that the other's lease has left."""
        attempt = asyncio.ensure_future(self._acquire(name, owner, ttl))
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            with suppress(LocksUnavailable):
                if await attempt > 0:
                    await self._release(name, owner)
            raise

    async def _acquire(self, name: str, owner: str, ttl: float) -> int:
        redis = self._redis
        keys = [self._lock(name), self._key("lock-fence", name)]
        life = milliseconds(ttl)
        async with self._bounded():
            return int(await _ACQUIRE(redis, keys, [owner, life, life + FENCE_MILLISECONDS]))

    async def _release(self, name: str, owner: str) -> bool:
        redis = self._redis
        keys = [self._lock(name), self._calls(name)]
        async with self._bounded():
            return bool(await _RELEASE(redis, keys, [owner, HAND_OVER_MILLISECONDS]))

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
            await redis.blpop([self._calls(name)], timeout=nap)

    def _lock(self, name: str) -> str:
        return self._key("lock", name)

    def _calls(self, name: str) -> str:
        return self._key("lock-calls", name)


_: type[LockProvider] = RedisLocks
