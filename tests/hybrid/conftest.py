"""Two "processes" of the hybrid cache over one backend: memory, or a real Valkey with connections of their own."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from cachekit import a_world, over_valkey, running


@pytest.fixture(params=["memory", "valkey"])
async def pair(request, unique_prefix):
    """Two processes that hear each other."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            world = await stack.enter_async_context(a_world())
            caches = (world.process(), world.process())
            await stack.enter_async_context(running(*caches))
        else:
            url = request.getfixturevalue("valkey_url")
            caches = [await stack.enter_async_context(over_valkey(url, unique_prefix)) for _ in range(2)]
        yield tuple(caches)


@pytest.fixture
async def own_pair(own_valkey, unique_prefix):
    """Two processes over a server that may be killed."""
    url = own_valkey.server.url()
    async with (
        over_valkey(url, unique_prefix, answer_within=0.5) as one,
        over_valkey(url, unique_prefix, answer_within=0.5) as two,
    ):
        yield one, two
