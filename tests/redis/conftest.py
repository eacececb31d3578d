from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tradesense.adapters.redis._client import RedisClients
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.sensitive import Secret


class SystemRandom:
    def bytes(self, count: int) -> bytes:
        return os.urandom(count)


@pytest.fixture
def random() -> SystemRandom:
    return SystemRandom()


@pytest.fixture
async def connect(valkey_url: str, unique_prefix: str) -> AsyncIterator[Callable[..., Any]]:
    """Opened connections, each set as those of another process would be."""
    async with AsyncExitStack() as stack:

        async def make(url: str = valkey_url, *, seconds: float = 2.0, pool_size: int = 16) -> RedisClients:
            settings = RedisSettings(url=Secret(url), timeout=seconds, pool_size=pool_size, prefix=f"{unique_prefix}:")
            return await stack.enter_async_context(RedisClients(settings))

        yield make
