from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tradesense.adapters.redis._backplane import RedisBackplane
from tradesense.adapters.redis._client import RedisClients
from tradesense.adapters.redis._limiter import RedisLimiter
from tradesense.adapters.redis._locks import RedisLocks
from tradesense.adapters.redis.cache import RedisCache
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.cache.models import Lease, Limit
from tradesense.core.errors import AdapterClosed, BackplaneUnavailable, LocksUnavailable
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import eventually


async def test_entries_stand_under_the_prefix_with_their_time(connect: Callable[..., Any], unique_prefix: str) -> None:
    clients = await connect()
    async with RedisCache(clients) as store:
        await store.set("a", b"\x00\xff", 30)
        await store.set_many({"b": b"2", "c": b"3"}, 0.0001)
    assert await clients.commands.get(f"{unique_prefix}:cache:a") == b"\x00\xff"
    assert 29_000 < await clients.commands.pttl(f"{unique_prefix}:cache:a") <= 30_000


async def test_a_lease_given_back_wakes_waiters_at_once(connect: Callable[..., Any], random: Any) -> None:
    """30 hand-overs between two processes within what a sleeping waiter would need for two."""
    held = 0

    async def work(locks: RedisLocks) -> None:
        nonlocal held
        lease = await locks.acquire("job", 30, wait=10)
        assert lease is not None
        held += 1
        assert held == 1
        await asyncio.sleep(0)
        held -= 1
        assert await locks.release(lease)

    async with RedisLocks(await connect(), random) as here, RedisLocks(await connect(), random) as there:
        start = asyncio.get_running_loop().time()
        await asyncio.gather(*(work(here) for _ in range(15)), *(work(there) for _ in range(15)))
        assert asyncio.get_running_loop().time() - start < 2


async def test_a_waiter_gets_a_lease_that_ended_by_itself(connect: Callable[..., Any], random: Any) -> None:
    async with RedisLocks(await connect(), random) as locks:
        first = await locks.acquire("job", 0.2)
        second = await locks.acquire("job", 5, wait=5)
        assert first is not None
        assert second is not None
        assert second.token > first.token
        assert not await locks.release(first)
        assert not await locks.renew(first)
        assert await locks.renew(second)


async def test_a_cancelled_acquisition_leaves_no_lease(connect: Callable[..., Any], random: Any) -> None:
    async with RedisLocks(await connect(), random) as locks:
        for turns in range(8):
            task = asyncio.create_task(locks.acquire("job", 60, wait=5))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            done = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(done, Lease):  # it was quicker
                await locks.release(done)
            lease = await locks.acquire("job", 60)
            assert lease is not None, f"cancelled after {turns} turns of the loop"
            await locks.release(lease)


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 13, 34])
async def test_an_acquisition_cancelled_again_while_it_is_undone_leaves_no_lease(
    valkey: Any, connect: Callable[..., Any], fault_proxy: Callable[..., Any], random: Any, turns: int
) -> None:
    """The answer is on its way when the caller is cancelled, and again while the lease is given back."""
    async with fault_proxy(valkey.host, valkey.port) as proxy:
        clients = await connect(f"redis://{proxy.host}:{proxy.port}/0", seconds=10)
        beside = await connect(valkey.url())

        async def taken() -> bool:
            """The server has given the lease."""
            return await beside.commands.get(f"{beside.prefix}lock:job") is not None

        async with RedisLocks(clients, random) as locks, RedisLocks(beside, random) as others:
            await locks.acquire("warm", 1)
            proxy.latency = 0.05
            task = asyncio.create_task(locks.acquire("job", 60))
            await eventually(taken, seconds=10)
            for _ in range(3):
                task.cancel()
                for _ in range(turns):
                    await asyncio.sleep(0)
            await asyncio.wait([task])
            assert task.cancelled()
            assert await others.acquire("job", 60, wait=10), "the lease was left behind"


async def test_a_release_is_sent_though_its_caller_is_cancelled(connect: Callable[..., Any], random: Any) -> None:
    async with RedisLocks(await connect(), random) as locks:
        for turns in range(8):
            lease = await locks.acquire("job", 60)
            assert lease is not None, f"cancelled after {turns - 1} turns of the loop"
            task = asyncio.create_task(locks.release(lease))
            for _ in range(turns):
                await asyncio.sleep(0)
            if turns == 0:
                await locks.release(lease)  # what never began sends nothing
            task.cancel()
            await asyncio.wait([task])
            again = await locks.acquire("job", 60, wait=5)
            assert again is not None, f"cancelled after {turns} turns of the loop"
            await locks.release(again)


async def test_a_cancelled_waiter_leaves_no_lease_and_no_turn(connect: Callable[..., Any], random: Any) -> None:
    clients = await connect()
    async with RedisLocks(clients, random) as locks:
        lease = await locks.acquire("job", 60)
        assert lease is not None
        waiting = [asyncio.create_task(locks.acquire("job", 60, wait=20)) for _ in range(3)]

        async def one_waits_on_the_server() -> bool:
            return any(client["cmd"] == "blpop" for client in await clients.commands.client_list())

        await eventually(one_waits_on_the_server, seconds=5)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await locks.release(lease)
        assert await locks.acquire("job", 60, wait=2)
        del waiting, task
        gc.collect()
        assert len(locks._turns) == 0


async def test_fencing_tokens_grow_although_the_server_lost_its_memory(own_valkey: Any, random: Any) -> None:
    async with (
        RedisClients(RedisSettings(url=Secret(own_valkey.server.url()), timeout=2)) as clients,
        RedisLocks(clients, random) as locks,
    ):
        tokens = []
        for _ in range(3):
            lease = await locks.acquire("job", 60)
            assert lease is not None
            tokens.append(lease.token)
            own_valkey.server.command("FLUSHALL")
        assert tokens == sorted(set(tokens))
        own_valkey.kill()
        with pytest.raises(LocksUnavailable):
            await locks.acquire("job", 60, wait=5)


async def test_a_limit_is_exact_over_processes_and_never_exceeded_within_any_window(
    connect: Callable[..., Any],
) -> None:
    limit = Limit(name="login", count=20, period=0.5)
    async with RedisLimiter(await connect()) as here, RedisLimiter(await connect()) as there:
        verdicts = await asyncio.gather(*((here, there)[n % 2].hit("k", limit) for n in range(200)))
        assert sum(verdict.allowed for verdict in verdicts) == 20
        refused = [verdict for verdict in verdicts if not verdict.allowed]
        assert all(0 < verdict.retry_after <= 0.5 and verdict.remaining == 0 for verdict in refused)

        async def all_given_back() -> bool:
            return (await here.hit("k", limit, cost=20)).allowed

        await eventually(all_given_back, seconds=5)
        assert (await here.hit("k", limit)).remaining == 0
        await there.reset("k", limit)
        assert (await here.hit("k", limit, cost=5)).remaining == 15
        with pytest.raises(ValueError, match="1 to 20"):
            await here.hit("k", limit, cost=21)


async def test_the_wait_that_a_refusal_names_is_right(connect: Callable[..., Any]) -> None:
    limit = Limit(name="login", count=3, period=1.0)
    async with RedisLimiter(await connect()) as limiter:
        await limiter.hit("k", limit, cost=2)
        verdict = await limiter.hit("k", limit, cost=2)
        assert (verdict.allowed, verdict.remaining) == (False, 1)
        assert (await limiter.hit("k", limit)).allowed, "a refused attempt cost nothing"
        await asyncio.sleep(verdict.retry_after)
        assert (await limiter.hit("k", limit, cost=2)).allowed


async def test_a_subscription_survives_a_lost_connection(
    valkey: Any, connect: Callable[..., Any], fault_proxy: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        fault_proxy(valkey.host, valkey.port) as proxy,
        RedisBackplane(await connect()) as speaker,
        RedisBackplane(await connect(f"redis://{proxy.host}:{proxy.port}/0")) as listener,
        listener.subscribe("news") as messages,
    ):

        async def lost() -> bool:
            return "was lost" in caplog.text

        await speaker.publish("news", b"1")
        assert await anext(messages) == b"1"
        for cut in (proxy.down, None):
            heard = asyncio.create_task(anext(messages))
            if cut is None:
                proxy.reset()
            else:
                await cut()
                await eventually(lost, seconds=5)
                await proxy.up()
            async with asyncio.timeout(10):
                while not heard.done():
                    await speaker.publish("news", b"2")
                    await asyncio.wait({heard}, timeout=0.05)
            assert heard.result() == b"2"
        assert await lost()


async def test_a_cancelled_wait_loses_no_message(connect: Callable[..., Any]) -> None:
    heard: list[bytes] = []
    async with RedisBackplane(await connect()) as backplane, backplane.subscribe("news") as messages:
        for number in range(50):
            await backplane.publish("news", str(number).encode())
            with suppress(TimeoutError):
                async with asyncio.timeout(0.0001 * (number % 5)):
                    heard.append(await anext(messages))
        async with asyncio.timeout(10):
            while len(heard) < 50:
                heard.append(await anext(messages))
    assert heard == [str(number).encode() for number in range(50)]


async def test_a_silent_dead_connection_is_noticed(
    valkey: Any, connect: Callable[..., Any], fault_proxy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradesense.adapters.redis._backplane.QUIET_SECONDS", 0.1)
    async with (
        fault_proxy(valkey.host, valkey.port) as proxy,
        RedisBackplane(await connect(f"redis://{proxy.host}:{proxy.port}/0", seconds=0.3), patience=0.5) as listener,
        listener.subscribe("news") as messages,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await anext(messages)
        proxy.black_hole = True
        with pytest.raises(BackplaneUnavailable):
            await anext(messages)
        proxy.black_hole = False


async def test_closing_ends_a_subscription_that_waits(connect: Callable[..., Any]) -> None:
    backplane = RedisBackplane(await connect())
    await backplane.__aenter__()
    async with backplane.subscribe("news") as messages:
        waiting = asyncio.create_task(anext(messages))
        await asyncio.sleep(0)
        await backplane.__aexit__(None, None, None)
        with pytest.raises(AdapterClosed):
            await waiting


async def test_a_lease_called_like_a_part_of_another_is_its_own(connect: Callable[..., Any], random: Any) -> None:
    async with RedisLocks(await connect(), random) as locks:
        leases = [await locks.acquire(name, 60) for name in ("a", "a:fence", "a:calls", "-fence:a")]
        assert all(leases)


async def test_a_caller_s_cancellation_is_never_swallowed(connect: Callable[..., Any]) -> None:
    async def forever(store: RedisCache) -> None:
        while True:
            await store.get("a")

    async with RedisCache(await connect()) as store:
        for turns in range(60):
            task = asyncio.create_task(forever(store))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task}, timeout=2)
            assert task.cancelled(), f"cancelled after {turns} turns of the loop"


async def test_a_key_without_a_form_fails_for_its_own_caller_alone(connect: Callable[..., Any]) -> None:
    async with RedisCache(await connect()) as store:
        await store.set("a", b"1", 30)
        found = await asyncio.gather(
            *(store.get(key) for key in ("a", "\ud800", "a", "\udfff", "a")), return_exceptions=True
        )
    assert [one if isinstance(one, bytes) else type(one) for one in found] == [
        *(b"1", UnicodeEncodeError, b"1", UnicodeEncodeError, b"1"),
    ]


async def test_many_keys_go_in_several_commands(connect: Callable[..., Any]) -> None:
    clients = await connect()
    keys = [f"k{number}" for number in range(1_100)]
    async with RedisCache(clients) as store:
        await store.set_many(dict.fromkeys(keys, b"v"), 30)
        sizes = list[int]()
        read = clients.commands.mget

        async def mget(some: list[str]) -> Any:
            sizes.append(len(some))
            return await read(some)

        clients.commands.mget = mget
        assert await store.get_many(keys) == dict.fromkeys(keys, b"v")
        assert sizes == [1000, 100]
        assert len(await store.remaining(keys)) == 1_100
        assert await store.delete(*keys) == 1_100


async def test_large_values_go_in_several_pipelines(connect: Callable[..., Any]) -> None:
    clients = await connect()
    values = {f"k{number}": bytes([number]) * 1_500_000 for number in range(5)}
    async with RedisCache(clients) as store:
        sent, pipeline = list[bool](), clients.commands.pipeline

        def counted(*, transaction: bool) -> Any:
            sent.append(transaction)
            return pipeline(transaction=transaction)

        clients.commands.pipeline = counted
        await store.set_many(values, 30)
        assert sent == [False] * 3
        assert await store.get_many(list(values)) == values


async def test_many_attempts_that_count_no_longer_are_dropped_at_once(
    connect: Callable[..., Any], unique_prefix: str
) -> None:
    clients = await connect()
    limit, log = Limit(name="many", count=5_000, period=60), f"{unique_prefix}:limit:many:me"
    fill = """
local time = redis.call('time')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
for number = 1, 3000 do redis.call('rpush', KEYS[1], string.format('%.0f', now - 120000000 + number)) end
for number = 1, 5 do redis.call('rpush', KEYS[1], string.format('%.0f', now - 10000000 + number)) end
return redis.call('llen', KEYS[1])
"""
    assert await clients.commands.eval(fill, 1, log) == 3_005
    async with RedisLimiter(clients) as limiter:
        assert (await limiter.hit("me", limit)).remaining == 4_994
    assert await clients.commands.eval("return redis.call('llen', KEYS[1])", 1, log) == 6
