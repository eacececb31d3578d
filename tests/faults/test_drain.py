"""A server that is asked to stop says so first, answers all that it has taken, ends its streams, and leaves no lock."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest

from client import PASSWORD, Api
from load import Load
from platform_process import Runner, serving
from pushclients import connected, listening
from servers import reachable_folder, wait_until

ADMIN = "admin@example.org"
SLOW_SECONDS = 3.0
"""How long the slow requests wait for a lock in the database."""
SLOW = 8
PATIENCE = 60.0
"""How long a stream that is open waits for its end: the load comes before."""
GOING_AWAY = 1001
"""The close code of a server that ends (RFC 6455, section 7.4.1)."""


@pytest.fixture
def env(postgres_url, valkey_url):
    return {
        "ENVIRONMENT": "staging",
        "DATABASE_URL": postgres_url,
        "REDIS_URL": valkey_url,
        "JWT_SECRET_KEY": "jwt-key-of-the-test-0123456789abcdef",
        "TRADESENSE_IDENTITY__CSRF_KEY": "csrf-key-of-the-test-0123456789abcd",
        "TRADESENSE_AUDIT__KEY": "audit-key-of-the-test-0123456789abcd",
        "TRADESENSE_SECRETS__PROVIDER": "memory",
        "TRADESENSE_JOBS__EMBEDDED": "true",
        "TRADESENSE_REDIS__TIMEOUT": "5",
        "TRADESENSE_DATABASE__STATEMENT_TIMEOUT": "30",
    }


def is_ready(url):
    try:
        return httpx2.get(f"{url}/health/ready", timeout=10, trust_env=False, verify=False).status_code == 200
    except httpx2.TransportError:
        return False


async def statement(url, *statements):
    connection = await asyncpg.connect(url)
    try:
        return [await connection.fetch(one) for one in statements]
    finally:
        await connection.close()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)], ids=str)
async def test_F14_a_server_that_is_asked_to_stop_answers_what_it_has_taken_and_leaves_no_lock(
    env, postgres_url, signals
):
    with reachable_folder() as folder:
        runner = Runner(folder)
        assert runner("init", "--email", ADMIN, "--password-stdin", env=env, stdin=f"{PASSWORD}\n").code == 0
        with serving(env, "--processes", "2", folder=folder) as server, Api(server.url) as api:
            api.login(ADMIN)
            async with streams(server.url, {"Authorization": api.client.headers["Authorization"]}) as ended:
                await asyncio.gather(
                    asyncio.to_thread(stopped_under_load, server, api, postgres_url, signals), *(end() for end in ended)
                )
        (locks,), (open_,) = await statement(
            postgres_url,
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE a.application_name = 'tradesense' AND a.datname = current_database()",
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'tradesense' AND datname = current_database()",
        )
        assert (locks[0], open_[0]) == (0, 0)
        verified = runner("audit", "verify", env=env)
        assert verified.code == 0, verified.err


@asynccontextmanager
async def streams(url, headers):
    """Clients of each kind of stream, and what each of them must see of the server's end."""
    async with (
        listening(url, "orders", headers=headers) as source,
        listening(url, headers=headers, path="/ofrep/v1/events", last="older") as flags,
        connected(url, "orders", headers=headers) as socket,
    ):
        assert (await flags.message()).json["type"] == "refetchEvaluation"

        async def events(stream):
            ended = await stream.message(PATIENCE)
            assert (ended.kind, ended.json) == ("end", {"reason": "closing"})
            assert await stream.message() is None
            assert stream.complete, "the answer has its last chunk"

        async def messages():
            assert await socket.message(PATIENCE) == {"kind": "end", "reason": "closing"}
            assert await socket.message() is None
            assert socket.code == GOING_AWAY

        yield partial(events, source), partial(events, flags), messages


def stopped_under_load(server, api, postgres_url, signals):
    """A balancer sends fifty requests a second until readiness says no, and eight slow ones are in hand."""
    headers = dict(api.client.headers)

    def write(number):
        answer = httpx2.put(
            f"{server.url}/api/v1/settings/drain.{number}",
            json={"value": "x"},
            headers=headers,
            timeout=60,
            verify=False,
        )
        return answer.status_code

    calls = {
        "config": lambda client: client.get("/api/v1/config"),
        "session": lambda client: client.get("/api/v1/auth/session"),
    }
    with ThreadPoolExecutor(SLOW + 1) as threads:
        with Load(server.url, calls, headers=headers) as load:
            wait_until(lambda: len(load.seen) > 50, "the load", seconds=30)
            closed = threading.Event()
            asked = locked_for_a_while(threads, postgres_url, write, closed)
            server.process.send_signal(signals[0])
            signalled = time.monotonic()
            wait_until(lambda: not is_ready(server.url), "not ready", seconds=10)
            refused = time.monotonic()
            wait_until(lambda: [one for one in load.seen if one.began > signalled], "it still answers", seconds=2)
        seen = load.between(0.0)
        assert {one.status for one in seen} == {200}, load.statuses(0.0)
        assert [one for one in seen if one.began > signalled], "it answers between the signal and its end"
        assert server.process.poll() is None, "it was not ready before it ended"
        for number in signals[1:]:
            server.process.send_signal(number)
        wait_until(lambda: refuses(server.url), "an end to new connections", seconds=10)
        assert not [one for one in asked if one.done()], "those in hand are waited for"
        closed.set()
        assert [one.result() for one in asked] == [200] * SLOW
    assert server.process.wait(30) == 0
    assert time.monotonic() - signalled < 30
    assert refused - signalled < 3, "readiness says it first"
    assert "Traceback" not in server.output


def refuses(url):
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def locked_for_a_while(threads, postgres_url, write, closed):
    """Writes that are in hand and wait for a table; it is free three seconds later, once nobody new is let in."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(postgres_url))
    transaction = connection.transaction()
    loop.run_until_complete(transaction.start())
    loop.run_until_complete(connection.execute("LOCK TABLE settings IN ACCESS EXCLUSIVE MODE"))
    asked = [threads.submit(write, number) for number in range(SLOW)]

    def waiting():
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return loop.run_until_complete(connection.fetchval(query)) >= 2

    wait_until(waiting, "writes that wait", seconds=30)

    def release():
        loop.run_until_complete(asyncio.sleep(SLOW_SECONDS))  # what the handlers take is the experiment
        closed.wait(PATIENCE)
        loop.run_until_complete(transaction.rollback())
        loop.run_until_complete(connection.close())
        loop.close()

    threads.submit(release)
    return asked
