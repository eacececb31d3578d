"""Limits that hold over all processes, counted by one script on the server and its clock."""

from __future__ import annotations

from tradesense.adapters.redis._client import RedisAdapter, RedisClients, Script, milliseconds
from tradesense.core.cache.models import Limit, Verdict
from tradesense.core.cache.ports import RateLimiter
from tradesense.core.errors import LimiterUnavailable

MICROSECONDS = 1_000_000

# The list holds the instants, in microseconds, of what was allowed, oldest first. An attempt drops those that are a
# period old, and is allowed while there is room. `now` never runs backwards within a list, so the list stays sorted
# when the server's clock is set back.
_HIT = """
local log, count, period, cost = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('time')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local newest = redis.call('lindex', log, -1)
if newest then now = math.max(now, tonumber(newest)) end
local oldest = redis.call('lindex', log, 0)
while oldest and tonumber(oldest) <= now - period do
  redis.call('lpop', log)
  oldest = redis.call('lindex', log, 0)
end
local used = redis.call('llen', log)
if used + cost > count then
  local blocking = redis.call('lindex', log, used + cost - count - 1)
  return {0, math.max(count - used, 0), tonumber(blocking) + period - now}
end
local instant = string.format('%.0f', now)
for _ = 1, cost do redis.call('rpush', log, instant) end
redis.call('pexpire', log, ARGV[4])
return {1, count - used - cost, 0}
"""


class RedisLimiter(RedisAdapter):
    """A sliding window, exact at its edges: no ``period`` seconds, wherever they begin, see more than ``count``.

    A key costs about 10 bytes of the server's memory for each attempt that counts.
    """

    def __init__(self, clients: RedisClients) -> None:
        super().__init__(clients, LimiterUnavailable)
        self._script = Script(_HIT)

    async def hit(self, key: str, limit: Limit, *, cost: int = 1) -> Verdict:
        """One round trip.

        :raises ValueError: ``cost`` is not within 1 to ``limit.count``.
        """
        redis = self._redis
        if not 1 <= cost <= limit.count:
            raise ValueError(f"an attempt costs 1 to {limit.count}, not {cost}")
        arguments = (limit.count, int(limit.period * MICROSECONDS), cost, milliseconds(limit.period) + 1)
        async with self._bounded():
            allowed, remaining, wait = await self._script(redis, [self._log(key, limit)], arguments)
        return Verdict(allowed=bool(allowed), remaining=remaining, retry_after=wait / MICROSECONDS)

    async def reset(self, key: str, limit: Limit) -> None:
        """One UNLINK."""
        async with self._bounded():
            await self._redis.unlink(self._log(key, limit))

    def _log(self, key: str, limit: Limit) -> str:
        name = limit.name.replace("%", "%25").replace(":", "%3A")  # so that name and key cannot run into each other
        return self._key("limit", name, key)


_: type[RateLimiter] = RedisLimiter
