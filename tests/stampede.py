"""Many callers on one cold key, in several processes over one Valkey.

`stampede(url, prefix, …)` starts the processes and lets them go at one moment; run as a script, this is one of them.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

sys.path.insert(0, str(Path(__file__).parent))  # for the processes that this becomes

from cachekit import until
from tradesense.adapters.memory.telemetry import MemoryTelemetry
from tradesense.adapters.redis._backplane import RedisBackplane
from tradesense.adapters.redis._client import RedisClients
from tradesense.adapters.redis._locks import RedisLocks
from tradesense.adapters.redis.cache import RedisCache
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.cache import EntryOptions, HybridCache
from tradesense.core.sensitive import Secret

LOADER_SECONDS = 0.05


@dataclass(frozen=True)
class Stampede:
    """What came of one."""

    calls: int
    """How often the loader ran, over all processes."""
    answers: int
    errors: int
    seconds: float
    """From the moment that all were let go until the last one was answered."""


def stampede(url: str, prefix: str, *, processes: int, callers: int) -> Stampede:
    """One cold key, `callers` of it in each of the `processes`."""
    words = [sys.executable, __file__, url, prefix, str(callers)]
    running = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    try:
        for process in running:
            assert process.stdout.readline() == "ready\n", "a process of the stampede did not start"
        start = time.time() + 0.3
        for process in running:
            process.stdin.write(f"{start}\n")
            process.stdin.flush()
        found = [json.loads(process.stdout.readline()) for process in running]
    finally:
        for process in running:
            process.stdin.close()
            process.wait(30)
            process.stdout.close()
    return Stampede(
        calls=max(one["calls"] for one in found),
        answers=sum(one["answers"] for one in found),
        errors=sum(one["errors"] for one in found),
        seconds=max(one["ended"] for one in found) - start,
    )


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def one_process(url: str, prefix: str, callers: int) -> None:
    """Be ready, wait for the moment, and tell what came of it."""
    clients = RedisClients(RedisSettings(url=Secret(url), prefix=f"{prefix}:", timeout=5.0))
    clock, random = SystemClock(), SystemRandom()
    far, backplane, locks = RedisCache(clients), RedisBackplane(clients), RedisLocks(clients, random)
    async with clients, far, backplane, locks, Redis.from_url(url) as counter:
        hybrid = HybridCache(
            far=far,
            backplane=backplane,
            locks=locks,
            clock=clock,
            random=random,
            telemetry=MemoryTelemetry(clock=clock),
        )
        cache = hybrid.named("stampede", bytes, options=EntryOptions(ttl=60))
        tally = f"{prefix}:loader-calls"

        async def load(_: object) -> bytes:
            await counter.incr(tally)
            await asyncio.sleep(LOADER_SECONDS)
            return b"x" * 1024

        hearing = asyncio.create_task(hybrid.run())
        await until(lambda: hybrid._engine.notices.listening)
        await counter.ping()
        await cache.get("another")
        say("ready")
        start = float(sys.stdin.readline())
        await asyncio.sleep(start - time.time())
        answers = await asyncio.gather(
            *(cache.get_or_set("cold", load) for _ in range(callers)), return_exceptions=True
        )
        ended = time.time()
        result = {
            "calls": int(await counter.get(tally) or 0),
            "answers": sum(answer == b"x" * 1024 for answer in answers),
            "errors": sum(isinstance(answer, BaseException) for answer in answers),
            "ended": ended,
        }
        say(json.dumps(result))
        sys.stdin.read()
        hearing.cancel()
        await asyncio.wait([hearing])
        await hybrid.aclose()


if __name__ == "__main__":
    asyncio.run(one_process(sys.argv[1], sys.argv[2], int(sys.argv[3])))
