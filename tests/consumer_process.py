"""A consumer in a process of its own: `consumer_process.py URL PREFIX MODE`. It prints what it is given.

In mode `hang` it never ends what it was given; in mode `work` it does.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tradesense.adapters.redis._client import RedisClients
from tradesense.adapters.redis._topics import RedisTopics
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.acting import as_system
from tradesense.core.cache.consumer import Consumer
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.service import FanOut

RETRY = 1.0


async def main(url, prefix, mode):
    async with (
        RedisClients(RedisSettings(url=Secret(url), prefix=prefix, timeout=2.0)) as clients,
        RedisTopics(clients) as topics,
    ):

        @as_system()
        async def handle(event):
            sys.stdout.write(f"{event.id}\n")
            sys.stdout.flush()
            if mode == "hang":
                await asyncio.Event().wait()

        await Consumer(
            groups=topics,
            letters=topics,
            topic="orders",
            group="billing",
            name=f"c{os.getpid()}",
            handle=handle,
            telemetry=FanOut(metrics=(), traces=()),
            attempts=5,
            retry=30.0 if mode == "hang" else RETRY,
            earliest=True,
        ).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
