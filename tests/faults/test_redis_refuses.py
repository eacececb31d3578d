"""A server that is full, forgets, wants another password, is a node of a cluster, or is given what it cannot keep."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

import contracted
import servers
from cachekit import Source, over_valkey, until
from platform_process import Runner
from server_kinds import RECIPES, Recipe, Valkey, valkey_recipe
from tradesense.adapters.redis import _client as redis
from tradesense.core.cache import CacheStore, EntryOptions, Limit, LockProvider, RateLimiter
from tradesense.core.errors import (
    CacheUnavailable,
    CacheValueTooLarge,
    ConfigurationError,
    InvalidCacheKey,
    InvalidCacheValue,
    LimiterUnavailable,
    LocksUnavailable,
    TradeSenseError,
)
from tradesense.core.sensitive import Secret
from tradesense.core.testing import eventually

LIMIT = Limit(name="few", count=3, period=600)


@asynccontextmanager
async def adapters(url):
    """A cache, leases and a limiter over one server."""
    platform = contracted.context()
    settings = {"url": Secret(url), "timeout": 5.0}
    async with AsyncExitStack() as stack:
        manifests = [contracted.manifest("redis", port) for port in (CacheStore, LockProvider, RateLimiter)]
        await stack.enter_async_context(redis.shared(manifests[0].settings(**settings), platform))
        yield [await stack.enter_async_context(contracted.build(one, platform, **settings)) for one in manifests]


async def refusals(cache, locks, limiter):
    """What each of the three says of a write."""
    calls = {
        CacheUnavailable: cache.set("a", b"1", 60),
        LocksUnavailable: locks.acquire("job", 60),
        LimiterUnavailable: limiter.hit("a", LIMIT),
    }
    told = []
    for error, call in calls.items():
        with pytest.raises(error) as refused:
            await call
        told.append(refused.value.line())
    return told


async def test_a_server_out_of_memory_is_told_apart_by_each_and_still_gives_back(own_valkey):
    async with adapters(own_valkey.server.url()) as (cache, locks, limiter):
        await cache.set("kept", b"1", 60)
        lease = await locks.acquire("held", 60)
        own_valkey.server.command("CONFIG SET maxmemory-policy noeviction")
        own_valkey.server.command("CONFIG SET maxmemory 1")
        assert all("is out of memory" in line for line in await refusals(cache, locks, limiter))
        assert await cache.get("kept") == b"1"
        assert await cache.delete("kept") == 1
        assert await locks.renew(lease)
        own_valkey.server.command("CONFIG SET maxmemory 0")
        assert await locks.release(lease)
        assert await locks.acquire("job", 60) is not None
        assert (await limiter.hit("a", LIMIT)).allowed


async def test_a_server_that_wants_another_password_while_we_run_is_told_and_found_again(own_valkey):
    server = own_valkey.server
    async with adapters(server.url()) as (cache, locks, limiter):
        await cache.set("kept", b"1", 60)
        server.command("CONFIG SET requirepass canary-right")
        await cut_off(server, "canary-right")
        for _ in range(3):
            told = await refusals(cache, locks, limiter)
        assert all("refused the user name or the password" in line or "is not asked" in line for line in told)
        assert "canary" not in "".join(told)
        with_password(server, "canary-right", "CONFIG SET requirepass ''")

        async def found():
            """The server is asked again, and answers."""
            try:
                return await cache.get("kept") == b"1"
            except CacheUnavailable:
                return False

        await eventually(found, seconds=10)


async def cut_off(server, password):
    """End every connection that was made without the password."""
    with_password(server, password, "CLIENT KILL TYPE normal SKIPME yes")
    await asyncio.sleep(0)


def with_password(server, password, words):
    with socket.create_connection((server.host, server.port), timeout=5) as connection:
        connection.sendall(f"AUTH {password}\r\n{words}\r\n".encode())
        with connection.makefile("rb") as answer:
            assert answer.readline() == b"+OK\r\n"
            assert not answer.readline().startswith(b"-")


@pytest.mark.timeout(120)
async def test_flushed_again_and_again_under_load_nothing_is_raised_and_nothing_wrong_served(own_valkey, unique_prefix):
    async with AsyncExitStack() as stack:
        url = own_valkey.server.url()
        hybrids = [await stack.enter_async_context(over_valkey(url, unique_prefix)) for _ in range(2)]
        caches = [hybrid.named("n", int, options=EntryOptions(ttl=600)) for hybrid in hybrids]
        errors, wrong, calls, stop = [], [], 0, asyncio.Event()

        async def load(number):
            nonlocal calls
            while not stop.is_set():
                cache, key = caches[calls % 2], number * 1000 + calls % 50
                calls += 1
                try:
                    value = await cache.get_or_set(str(key), Source(key))
                    if value != key:
                        wrong.append((key, value))
                    await cache.set(f"own-{number}", number)
                    await cache.remove(f"own-{number}")
                except TradeSenseError as error:
                    errors.append(error)

        workers = [asyncio.create_task(load(number)) for number in range(16)]
        for flush in range(10):
            await until(lambda reached=(flush + 1) * 200: calls > reached, seconds=60)
            own_valkey.server.command("FLUSHALL")
        stop.set()
        await asyncio.gather(*workers)
        assert (errors, wrong) == ([], [])


class Unencodable:
    """MessagePack knows nothing of it."""


async def test_what_cannot_be_kept_is_refused_before_the_server_hears_of_it(valkey_url, unique_prefix):
    async with over_valkey(valkey_url, unique_prefix) as hybrid:
        cache = hybrid.named("n", bytes, options=EntryOptions(ttl=600))
        for key in ("nul\x00byte", "k" * 10_240, "new\nline"):
            with pytest.raises(InvalidCacheKey):
                await cache.set(key, b"v")
            with pytest.raises(InvalidCacheKey):
                await cache.get(key)
            with pytest.raises(InvalidCacheKey):
                await cache.remove(key)
        with pytest.raises(CacheValueTooLarge):
            await cache.set("large", bytes(8 * 1024 * 1024 + 1))
        assert await cache.get("large") is None
        objects = hybrid.named("objects", dict[str, object], options=EntryOptions(ttl=600))
        with pytest.raises(InvalidCacheValue):
            await objects.set("object", {"x": Unencodable()})
        assert await objects.get("object") is None
        nested: dict[str, object] = {}
        for _ in range(5000):
            nested = {"x": nested}
        with pytest.raises(InvalidCacheValue):
            await objects.set("deep", nested)
        await cache.set("k" * 400, b"v")
        assert await cache.get("k" * 400) == b"v"


class Node(Valkey):
    """A node of a cluster."""


def node_recipe(folder):
    made = valkey_recipe(folder)
    argv = [
        *made.argv,
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        str(servers.free_port()),
        "--cluster-require-full-coverage",
        "no",
    ]
    return Recipe(server=Node(port=made.server.port, databases=made.server.databases), argv=argv, env=made.env)


@pytest.fixture
def node(monkeypatch):
    monkeypatch.setitem(RECIPES, Node, node_recipe)
    with servers.own(Node) as server:
        yield server.server


async def test_a_node_of_a_cluster_is_refused_at_the_start_by_name(node):
    with pytest.raises(ConfigurationError, match="is a node of a cluster") as refused:
        async with adapters(node.url()):
            pass
    assert refused.value.origin == "redis.url"


def test_a_server_is_not_started_on_a_node_of_a_cluster(node, tmp_path):
    done = Runner(tmp_path)("health", env={"REDIS_URL": node.url(), "ENVIRONMENT": "testing"})
    assert done.code == 78
    assert "is a node of a cluster (from redis.url)" in done.err


async def test_a_node_that_does_not_tell_is_named_when_it_sends_us_elsewhere(node):
    """Where the user may not ask, the first redirect tells it."""
    node.command("ACL SETUSER quiet on >p ~* &* +@all -info")
    async with adapters(f"redis://quiet:p@{node.host}:{node.port}/0") as (cache, locks, limiter):
        told = await refusals(cache, locks, limiter)
        assert all("is a node of a cluster, and has not all keys" in line for line in told), told


@pytest.fixture
def redirecting(node):
    """A node that has the one slot of `OURS`, and sends everybody elsewhere for every other key."""
    with servers.own(Node) as beside:
        other = beside.server
        slot = int(node.command(f"CLUSTER KEYSLOT {OURS}").removeprefix(":"))
        assert node.command(f"CLUSTER ADDSLOTS {slot}") == "+OK"
        assert other.command(f"CLUSTER ADDSLOTSRANGE 0 {slot - 1} {slot + 1} 16383") == "+OK"
        bus = answered(other, "CONFIG GET cluster-port", lines=5)[-1]
        assert node.command(f"CLUSTER MEET {other.host} {other.port} {bus}") == "+OK"
        servers.wait_until(lambda: node.command("GET any").startswith("-MOVED"), "a redirect", seconds=30)
        servers.wait_until(lambda: node.command(f"GET {OURS}") == "$-1", "a key of its own", seconds=30)
        node.command("ACL SETUSER quiet on >p ~* &* +@all -info")
        yield node, slot, answered(other, "CLUSTER MYID", lines=2)[-1]


OURS = "tradesense:cache:ours"


def answered(server, words, *, lines):
    with socket.create_connection((server.host, server.port), timeout=5) as connection:
        connection.sendall(f"{words}\r\n".encode())
        with connection.makefile("r", newline="\r\n") as answer:
            return [answer.readline().strip() for _ in range(lines)]


@pytest.mark.timeout(120)
async def test_real_redirects_are_told_by_each_and_the_cache_goes_on_in_memory(redirecting):
    node, slot, other = redirecting
    url = f"redis://quiet:p@{node.host}:{node.port}/0"
    async with adapters(url) as (cache, locks, limiter):
        told = await refusals(cache, locks, limiter)  # MOVED
        assert all("is a node of a cluster, and has not all keys" in line for line in told), told
        await cache.set("ours", b"1", 60)
        assert await cache.delete("ours") == 1
        assert node.command(f"CLUSTER SETSLOT {slot} MIGRATING {other}") == "+OK"
        assert node.command(f"GET {OURS}").startswith("-ASK")
        with pytest.raises(CacheUnavailable, match="is a node of a cluster"):
            await cache.set("ours", b"1", 60)
    async with over_valkey(url, "tests") as hybrid:
        numbers = hybrid.named("n", int, options=EntryOptions(ttl=600))
        sources = [Source(number) for number in range(8)]
        for _ in range(3):
            found = [await numbers.get_or_set(str(source.value), source) for source in sources]
            assert found == list(range(8))
        assert [source.runs for source in sources] == [1] * 8
        await until(lambda: not hybrid.stats().backend_up)
