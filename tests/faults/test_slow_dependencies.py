"""A dependency answers two seconds late, and then not at all: callers are told in time, and it is left alone."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import pytest

from client import Api
from load import Load, p99
from platform_process import serving
from servers import wait_until

BUDGET = 1.5
"""Seconds in which 99 of 100 requests are answered: what `http.answer_within` is set to."""
SLACK = 1.0
"""Seconds that a busy machine may add."""
LATENCY = 2.0
ESSENTIAL = {"redis": {200}, "postgres": {503}, "vault": {200}}  # what was read of the vault is served for a while
"""What the calls that need the dependency are answered while it does not answer."""

CALLS = {
    "redis": lambda client: client.get("/api/v1/config"),
    "postgres": lambda client: client.get("/api/v1/flags"),
    "vault": lambda client: client.get("/api/v1/secrets/slow/key"),
}


@pytest.fixture
def upstream(postgres_url, valkey_url, openbao):
    """Where the three servers are."""
    return {"redis": urlsplit(valkey_url), "postgres": urlsplit(postgres_url), "vault": urlsplit(openbao.address)}


@pytest.fixture
async def proxies(upstream, fault_proxy):
    async with (
        fault_proxy(upstream["redis"].hostname, upstream["redis"].port) as redis,
        fault_proxy(upstream["postgres"].hostname, upstream["postgres"].port) as postgres,
        fault_proxy(upstream["vault"].hostname, upstream["vault"].port) as vault,
    ):
        yield {"redis": redis, "postgres": postgres, "vault": vault}


@pytest.fixture
def env(proxies, upstream, openbao):
    postgres = upstream["postgres"]
    login = postgres.netloc.rpartition("@")[0]
    return {
        "DATABASE_URL": f"postgresql://{login}@127.0.0.1:{proxies['postgres'].port}{postgres.path}",
        "REDIS_URL": f"redis://127.0.0.1:{proxies['redis'].port}{upstream['redis'].path}",
        "TRADESENSE_SECRETS__PROVIDER": "vault",
        "TRADESENSE_SECRETS__VAULT__URL": f"http://127.0.0.1:{proxies['vault'].port}",
        "TRADESENSE_SECRETS__VAULT__TOKEN": openbao.token,
        "TRADESENSE_SECRETS__VAULT__MOUNT": openbao.mount,
        "TRADESENSE_SECRETS__VAULT__TIMEOUT": "1.0",
        "TRADESENSE_DATABASE__POOL_TIMEOUT": "1.0",
        "TRADESENSE_JOBS__PROVIDER": "memory",
        "TRADESENSE_JOBS__EMBEDDED": "true",
        "TRADESENSE_HTTP__ANSWER_WITHIN": str(BUDGET),
        "TRADESENSE_HTTP__LIMITS__ALL__COUNT": "1000000",
        "TRADESENSE_HTTP__LIMITS__ALL__PERIOD": "60",
        "TRADESENSE_HTTP__LIMITS__ALL__FAIL": "open",
    }


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["redis", "postgres", "vault"])
async def test_F07_a_slow_dependency_costs_no_caller_more_than_the_budget_and_is_left_alone(
    env, proxies, name, soaking
):
    await asyncio.to_thread(slowed, env, proxies[name], name, 10 if soaking else 5)


def slowed(env, proxy, name, seconds):
    with serving(env) as server, Api(server.url) as api:
        api.login(server.admin_email, server.admin_password)
        assert api.client.put("/api/v1/secrets/slow/key", json={"value": "kept"}).status_code == 200
        with Load(server.url, CALLS, headers=api.client.headers, connections=32) as load:
            wait_until(lambda: len(load.seen) > 60, "the load", seconds=60)
            wait_until(lambda: {one.status for one in load.between(0.0)[-40:]} == {200}, "calm", seconds=60)
            calm = p99(load.between(0.0)[-40:])  # how slow this machine is, all servers being well
            for fault in (late, hanging):
                fault(proxy)
                began, asked = time.monotonic(), proxy.sent
                wait_until(lambda begin=began: time.monotonic() - begin > seconds, "the fault", seconds=60)
                sent = proxy.sent - asked
                well(proxy)
                ended = time.monotonic()
                wait_until(lambda end=ended: recovered(load, end), "all calls again", seconds=5 + SLACK + 5 * calm)
                judge(name, load, (began, ended), sent, calm)


def judge(name, load, span, sent, calm):
    began, ended = span
    seen = load.between(began, ended)
    slowest = p99(seen)
    assert len(seen) > 30, "the load went on"
    assert slowest < BUDGET + SLACK + 2 * calm
    assert not [one for one in seen if one.status not in {200, 503}]
    away = load.between(began + 2 * BUDGET, ended - 0.2)
    assert {one.status for one in away if one.name == name} <= ESSENTIAL[name] | {503}
    if name != "postgres":  # everything needs the database
        others = [one for one in away if one.name not in {name, "redis"}]
        well_off = [one for one in others if one.status == 200]
        assert len(well_off) >= 0.9 * len(others), "who does not need it does not notice"
    assert sent <= 1.2 * len(seen), "no storm of attempts"
    spared = sorted(one.seconds for one in away)
    assert spared[len(spared) // 2] < BUDGET / 2 + calm, "most callers are told at once"


def late(proxy):
    proxy.latency = LATENCY


def hanging(proxy):
    proxy.latency = 0.0
    proxy.black_hole = True


def well(proxy):
    proxy.latency = 0.0
    proxy.black_hole = False


def recovered(load, since):
    """The last calls of each kind are answered."""
    return all([one.status for one in load.between(since, name=name)][-3:] == [200] * 3 for name in CALLS)
