"""Limits that hold over all processes, counted by one script on the server and its clock."""

from __future__ import annotations

from collections.abc import Sequence

from tradesense.adapters.redis._client import RedisAdapter, RedisClients, Script, milliseconds
from tradesense.adapters.redis._commands import Client
from tradesense.core.cache.models import Attempt, Limit, Verdict, check_attempts, check_cost, check_limit
from tradesense.core.cache.ports import RateLimiter
from tradesense.core.errors import LimiterUnavailable

MICROSECONDS = 1_000_000
MOST_ATTEMPTS = 64
"""Attempts that one run of the script decides; the server does nothing else meanwhile."""
KNOWN_LIMITS = 1_000
LAST, SHADOW = 1, 2

# For each key: how many, within how many microseconds, at what cost, for how many milliseconds the list is kept, how
# many need not wait for each other, how many microseconds the next one waits, how many none waits longer than, and
# marks: 1 for the last key of an attempt, 2 for one that refuses nothing. A list holds the instants, in microseconds,
# of what was allowed, oldest first. An attempt drops those that are a period old (where they are many, at once, as the
# server does nothing else meanwhile), and is allowed while every list of
# its own has room; a refused one is written nowhere. `now` never runs backwards within a list, so that the list stays
# sorted when the server's clock is set back.
_HIT = Script("""
local time = redis.call('time')
local clock = tonumber(time[1]) * 1000000 + tonumber(time[2])
local answers, nows, useds, waits = {}, {}, {}, {}
local first, open = 1, true
for i = 1, #KEYS do
  local log, at = KEYS[i], i * 8 - 8
  local count, period, cost = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local free, delay, longest = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7])
  local marks = ARGV[at + 8]
  local now, used, newest = clock, 0, redis.call('lindex', log, -1)
  if newest then
    newest = tonumber(newest)
    now = math.max(now, newest)
    local oldest, popped = redis.call('lindex', log, 0), 0
    while oldest and tonumber(oldest) <= now - period and popped < 16 do
      redis.call('lpop', log)
      popped = popped + 1
      oldest = redis.call('lindex', log, 0)
    end
    if oldest and tonumber(oldest) <= now - period then
      local low, high = 1, redis.call('llen', log)
      while low < high do
        local middle = math.floor((low + high) / 2)
        if tonumber(redis.call('lindex', log, middle)) <= now - period then low = middle + 1 else high = middle end
      end
      redis.call('ltrim', log, low, -1)
    end
    used = redis.call('llen', log)
  end
  local wait = 0
  if used + cost > count then
    wait = tonumber(redis.call('lindex', log, used + cost - count - 1)) + period - now
  end
  if delay > 0 and used > 0 and used >= free then
    wait = math.max(wait, newest + math.min(longest, delay * 2 ^ math.min(used - free, 50)) - now)
  end
  nows[i], useds[i], waits[i] = now, used, wait
  if wait > 0 and marks < '2' then open = false end
  if marks == '1' or marks == '3' then
    for j = first, i do
      at = j * 8 - 8
      log, count, period, cost = KEYS[j], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
      now, used, wait = nows[j], useds[j], waits[j]
      local allowed = 1
      if wait > 0 then
        allowed = 0
      elseif open then
        local instant = string.format('%.0f', now)
        local many, left = {instant}, cost
        for n = 2, math.min(cost, 1000) do many[n] = instant end
        while left > 0 do
          redis.call('rpush', log, unpack(many, 1, math.min(left, 1000)))
          left = left - 1000
        end
        redis.call('pexpire', log, ARGV[at + 4])
        used = used + cost
      end
      local reset = 0
      if used == cost and allowed == 1 and open then
        reset = period
      elseif used > 0 then
        reset = tonumber(redis.call('lindex', log, 0)) + period - now
      end
      local n = #answers
      answers[n + 1], answers[n + 2], answers[n + 3], answers[n + 4] = allowed, math.max(count - used, 0), wait, reset
    end
    first, open = i + 1, true
  end
end
return answers
""")

_Question = tuple[list[bytes], list[int]]
"""The keys of one attempt, and eight arguments for each."""

_Compiled = tuple[str, int, int, tuple[int, int, int]]
"""What the keys of a limit begin with, its period in microseconds, the life of its lists, and what spaces attempts."""


class RedisLimiter(RedisAdapter):
    """A sliding window, exact at its edges: no ``period`` seconds, wherever they begin, see more than ``count``.

    A key costs about 10 bytes of the server's memory for each attempt that counts. What many tasks attempt in one
    turn of the event loop is decided by one run of the script.
    """

    def __init__(self, clients: RedisClients) -> None:
        super().__init__(clients, LimiterUnavailable)
        self._hits = self._batched(_decide, most=MOST_ATTEMPTS)
        self._known: dict[Limit, _Compiled] = {}

    async def hit(self, key: str, limit: Limit, *, cost: int = 1) -> Verdict:
        """A part of one round trip.

        :raises ValueError: ``cost`` or ``limit`` is out of its range.
        """
        self._check_open()
        check_cost(limit, cost)
        prefix, period, life, spacing = self._compiled(limit)
        question = ([_encoded(prefix + key)], [limit.count, period, cost, life, *spacing, LAST])
        return (await self._hits.ask(question).answer)[0]

    async def hit_many(self, attempts: Sequence[Attempt]) -> tuple[Verdict, ...]:
        """A part of one round trip.

        :raises ValueError: a cost or a limit is out of its range, or two attempts are under one key and limit.
        """
        self._check_open()
        check_attempts(attempts)
        if not attempts:
            return ()
        keys, arguments = list[bytes](), list[int]()
        for attempt in attempts:
            prefix, period, life, spacing = self._compiled(attempt.limit)
            keys.append(_encoded(prefix + attempt.key))
            arguments += (attempt.limit.count, period, attempt.cost, life, *spacing, SHADOW if attempt.shadow else 0)
        arguments[-1] |= LAST
        return await self._hits.ask((keys, arguments)).answer

    async def reset(self, key: str, limit: Limit) -> None:
        """One UNLINK."""
        async with self._bounded():
            await self._redis.unlink(_encoded(self._compiled(limit)[0] + key))

    def _compiled(self, limit: Limit) -> _Compiled:
        """What the script is told of ``limit``."""
        known = self._known.get(limit)
        if known is None:
            check_limit(limit)
            name = limit.name.replace("%", "%25").replace(":", "%3A")  # so that name and key cannot run into each other
            known = (
                self._key("limit", name, ""),
                int(limit.period * MICROSECONDS),
                milliseconds(limit.period) + 1,
                (limit.free, int(limit.delay * MICROSECONDS), int(limit.longest * MICROSECONDS)),
            )
            if len(self._known) >= KNOWN_LIMITS:
                self._known.clear()
            self._known[limit] = known
        return known


def _encoded(key: str) -> bytes:
    """The key as it is sent: any text, as it may be what somebody typed in."""
    return key.encode("utf-8", "surrogatepass")


async def _decide(redis: Client, questions: list[_Question]) -> Sequence[tuple[Verdict, ...]]:
    keys = [key for question in questions for key in question[0]]
    arguments = [argument for question in questions for argument in question[1]]
    answers = await _HIT(redis, keys, arguments)
    verdicts = [
        Verdict(
            allowed=answers[at] == 1,
            remaining=answers[at + 1],
            retry_after=answers[at + 2] / MICROSECONDS,
            reset_after=answers[at + 3] / MICROSECONDS,
        )
        for at in range(0, len(answers), 4)
    ]
    decided, at = list[tuple[Verdict, ...]](), 0
    for own, _ in questions:
        decided.append(tuple(verdicts[at : at + len(own)]))
        at += len(own)
    return decided


_: type[RateLimiter] = RedisLimiter
