"""The primary that the sentinels watch over is killed: everything on Redis goes on, on the other one."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

import contracted
import sentinels
from cachekit import Source, over_valkey
from client import Api
from load import Load
from platform_process import serving
from servers import reachable_folder, wait_until
from sqldatabases import postgresql_database
from tradesense.adapters.redis import _client as redis
from tradesense.core.cache import EntryOptions, Limit, LockProvider, RateLimiter
from tradesense.core.cache.leases import LeaseKeeper
from tradesense.core.errors import Unavailable
from tradesense.core.sensitive import Secret
from tradesense.core.testing import eventually

LIMIT = Limit(name="few", count=3, period=600)


@pytest.fixture
def watched():
    with sentinels.watched() as servers:
        yield servers


@pytest.mark.timeout(180)
async def test_cache_leases_and_limits_go_on_after_a_fail_over(watched, unique_prefix):
    async with AsyncExitStack() as stack:
        hybrids = [await stack.enter_async_context(over_valkey(watched.url, unique_prefix)) for _ in range(2)]
        one, two = (hybrid.named("n", bytes, options=EntryOptions(ttl=600)) for hybrid in hybrids)
        platform = contracted.context()
        settings = {"url": Secret(watched.url), "prefix": f"{unique_prefix}:", "timeout": 2.0}
        manifest = contracted.manifest("redis", LockProvider)
        await stack.enter_async_context(redis.shared(manifest.settings(**settings), platform))
        locks, limiter = [
            await stack.enter_async_context(contracted.build(contracted.manifest("redis", port), platform, **settings))
            for port in (LockProvider, RateLimiter)
        ]
        await one.set("before", b"kept")
        before = await locks.acquire("job", 60)
        await locks.release(before)
        for _ in range(LIMIT.count):
            assert (await limiter.hit("a", LIMIT)).allowed
        keeper = LeaseKeeper(locks)
        async with keeper.hold("held", 30) as held:
            await asyncio.to_thread(watched.fail_over)
            assert held.ours, "a lease outlives the fail-over"

            async def again():
                """The server answers."""
                try:
                    return await locks.acquire("other", 1) is not None
                except Unavailable:
                    return False

            await eventually(again, seconds=30)
            assert await one.get("before") == b"kept"
            await one.set("after", b"new")

            async def seen():
                """The other process sees what was changed after the fail-over."""
                return await two.get("after") == b"new"

            await eventually(seen, seconds=30)
            source = Source(b"made")
            assert await one.get_or_set("cold", source) == await two.get_or_set("cold", source) == b"made"
            assert source.runs == 1
            after = await locks.acquire("job", 60)
            assert after.token > before.token
            assert not (await limiter.hit("a", LIMIT)).allowed, "what was counted was not forgotten"
            assert [(await limiter.hit("b", LIMIT)).allowed for _ in range(4)] == [True, True, True, False]


@pytest.mark.timeout(240)
def test_over_http_a_fail_over_is_an_outage_of_seconds_and_jobs_go_on(watched, postgres):
    with postgresql_database(postgres) as url, reachable_folder() as folder:
        env = {
            "DATABASE_URL": url,
            "REDIS_URL": watched.url,
            "TRADESENSE_JOBS__EMBEDDED": "true",
            "TRADESENSE_REDIS__TIMEOUT": "2",
            "TRADESENSE_HTTP__LIMITS__SHUT__COUNT": "100000",
            "TRADESENSE_HTTP__LIMITS__SHUT__PERIOD": "60",
            "TRADESENSE_HTTP__LIMITS__SHUT__FAIL": "closed",
            "TRADESENSE_HTTP__LIMITS__SHUT__ROUTES": '["/api/v1/config"]',
        }
        calls = {
            "shut": lambda client: client.get("/api/v1/config"),
            "flags": lambda client: client.get("/api/v1/flags"),
        }
        with serving(env, folder=folder) as server, Api(server.url) as api:
            api.login(server.admin_email, server.admin_password)
            with Load(server.url, calls, headers=api.client.headers) as load:
                wait_until(lambda: len(load.seen) > 50, "the load", seconds=30)
                watched.fail_over()
                over = time.monotonic()
                wait_until(
                    lambda: [one.status for one in load.between(over, name="shut")][-5:] == [200] * 5,
                    "limits on the new primary",
                    seconds=15,
                )
                assert api.register("ada@example.org").status_code == 202
                wait_until(lambda: "ada@example.org" in server.output, "the job of the welcome mail", seconds=30)
            seen = load.statuses(0.0)
            assert set(seen["flags"]) == {200}
            assert set(seen["shut"]) <= {200, 503}
