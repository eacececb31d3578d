from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tradesense.adapters.redis import tradesense_adapters
from tradesense.adapters.redis._client import RedisClients, RedisHealth
from tradesense.adapters.redis.cache import RedisCache, cache, limiter
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.errors import AdapterClosed, CacheUnavailable, ConfigurationError, Unavailable
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Status
from tradesense.plugins import AdapterContext

PASSWORD = "hunter2-canary"


async def test_an_absent_server_is_one_clear_line_without_the_password() -> None:
    settings = RedisSettings(url=Secret(f"redis://user:{PASSWORD}@127.0.0.1:1/0"))
    with pytest.raises(Unavailable) as caught:
        async with RedisClients(settings):
            pass
    line = caught.value.line()
    assert line == ("redis at 127.0.0.1:1 cannot be reached (from redis.url); start the server, or correct REDIS_URL")
    assert PASSWORD not in repr(caught.value) + repr(caught.value.__cause__) + repr(settings)


async def test_a_wrong_password_is_told_apart(own_valkey: Any) -> None:
    own_valkey.server.command("CONFIG SET requirepass right")
    url = f"redis://:{PASSWORD}@{own_valkey.server.host}:{own_valkey.server.port}/0"
    with pytest.raises(Unavailable, match="refused the user name or the password") as caught:
        async with RedisClients(RedisSettings(url=Secret(url))):
            pass
    assert PASSWORD not in caught.value.line() + repr(caught.value.__cause__)
    with pytest.raises(Unavailable, match="refused the user name or the password"):
        async with RedisClients(RedisSettings(url=Secret(own_valkey.server.url()))):
            pass


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}/x@127.0.0.1:6379/0",
        f"http://:{PASSWORD}@127.0.0.1:6379/0",
        f"redis://user:{PASSWORD}@[::1/0",
        PASSWORD,
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisClients(RedisSettings(url=Secret(url)))
    assert caught.value.origin == "redis.url"
    assert PASSWORD not in caught.value.line()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


async def test_a_server_that_hangs_is_unavailable_within_the_timeout(
    valkey: Any, connect: Callable[..., Any], fault_proxy: Callable[..., Any]
) -> None:
    async with fault_proxy(valkey.host, valkey.port) as proxy:
        clients = await connect(f"redis://{proxy.host}:{proxy.port}/0", seconds=0.3)
        async with RedisCache(clients) as store:
            await store.set("a", b"1", 60)
            proxy.black_hole = True
            start = asyncio.get_running_loop().time()
            with pytest.raises(CacheUnavailable, match=r"did not answer within 0\.3 s"):
                await store.get("a")
            assert asyncio.get_running_loop().time() - start < 1.5
            health = await RedisHealth(clients).check()
            assert (health.status, health.name) == (Status.DOWN, "redis")
            proxy.black_hole = False
            proxy.reset()
            assert await store.get("a") == b"1", "the dead connections were replaced"
            assert (await RedisHealth(clients).check()).status is Status.UP
            await proxy.down()
            with pytest.raises(CacheUnavailable, match="cannot be reached"):
                await store.get("a")


async def test_an_exhausted_pool_says_which_setting_to_raise(connect: Callable[..., Any]) -> None:
    clients = await connect(seconds=0.1, pool_size=1)
    pool = clients.commands.connection_pool
    held = await pool.get_connection()
    try:
        async with RedisCache(clients) as store:
            with pytest.raises(CacheUnavailable) as caught:
                await store.get("a")
    finally:
        await pool.release(held)
    assert caught.value.mend == "raise redis.pool_size"


async def test_a_full_server_is_told_apart(own_valkey: Any) -> None:
    settings = RedisSettings(url=Secret(own_valkey.server.url()), timeout=2)
    async with RedisClients(settings) as clients, RedisCache(clients) as store:
        own_valkey.server.command("CONFIG SET maxmemory 1")
        with pytest.raises(CacheUnavailable, match="out of memory"):
            await store.set("a", b"1", 60)


async def test_the_adapters_of_one_context_share_their_connections_and_one_health_check(random: Any) -> None:
    opened: list[object] = []
    context = AdapterContext(clock=Any, random=random, ids=Any, opened=opened.append)  # type: ignore[arg-type]  # unused here
    first, second = cache(RedisSettings(), context), limiter(RedisSettings(), context)
    assert first._clients is second._clients
    assert opened == [first._clients]
    assert [check.name for check in context.checks] == ["redis"]
    with pytest.raises(AdapterClosed):
        await first.get("a")


def test_the_manifests_point_at_factories() -> None:
    adapters = list(tradesense_adapters())
    ports = {adapter.port.__name__ for adapter in adapters}
    assert ports == {"CacheStore", "Backplane", "Topics", "LockProvider", "RateLimiter"}
    assert {adapter.settings_section for adapter in adapters} == {"redis"}
