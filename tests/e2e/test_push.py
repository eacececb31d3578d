"""Events reach browsers through several processes, once each, and what was missed is made good for."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack

import httpx2
import pytest

from platform_process import serving
from pushclients import Owners, connected, listening

CLIENTS = 40
"""So many are accepted by one of two processes alone with a probability of 1 in 10 to the 12th."""


def event(number, source="/tests"):
    return {"specversion": "1.0", "id": str(number), "source": source, "type": "org.example.counted", "data": number}


class Admin:
    """An administrator with a bearer token."""

    def __init__(self, server):
        self.url = server.url
        body = {"email": server.admin_email, "password": server.admin_password, "mode": "token"}
        answer = httpx2.post(f"{server.url}/api/v1/auth/login", json=body, trust_env=False, verify=False)
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def publish(self, topic, *numbers):
        async with httpx2.AsyncClient(
            base_url=self.url, headers=self.headers, timeout=20, trust_env=False, verify=False
        ) as client:
            for number in numbers:
                answer = await client.post(f"/api/v1/topics/{topic}/events", json=event(number))
                assert answer.status_code == 202, answer.text


@contextlib.contextmanager
def served(env, processes=1):
    with serving({"TRADESENSE_EVENTS__HEARTBEAT": "1", **env}, "--processes", str(processes)) as server:
        yield server, Admin(server)


async def numbers(source, count):
    """The data of so many events; nothing else may come in between."""
    found = []
    for _ in range(count):
        message = await source.message()
        assert message is not None, found
        if isinstance(message, dict):
            assert message["kind"] == "event", message
            found.append(message["event"]["data"])
        else:
            assert message.kind == "message", message
            found.append(message.json["data"])
    return found


async def nothing_more(source):
    with pytest.raises(TimeoutError):
        await source.message(1.5)


async def one_on_each(stack, server, admin):
    """An event source at one process, and a WebSocket at the other."""
    owners = Owners(server.process.pid)
    source = await stack.enter_async_context(listening(admin.url, "orders", headers=admin.headers))
    here = owners.of(admin.url, source.local_port)
    for _ in range(CLIENTS):
        opening = connected(admin.url, "orders", headers=admin.headers)
        socket = await opening.__aenter__()
        if owners.of(admin.url, socket.local_port) != here:
            stack.push_async_exit(opening)
            return source, socket
        await opening.__aexit__(None, None, None)
    raise AssertionError("one process accepts all connections")


@pytest.mark.timeout(180)
async def test_a_client_at_each_of_two_processes_gets_a_message_once(own_valkey):
    with served({"REDIS_URL": own_valkey.server.url()}, processes=2) as (server, admin):
        async with AsyncExitStack() as stack:
            source, socket = await one_on_each(stack, server, admin)
            await admin.publish("orders", 1)
            assert await numbers(source, 1) == [1]
            assert await numbers(socket, 1) == [1]
            await nothing_more(source)
            await nothing_more(socket)


@pytest.mark.timeout(180)
async def test_who_comes_back_gets_exactly_what_was_missed(own_valkey):
    with served({"REDIS_URL": own_valkey.server.url()}, processes=2) as (_, admin):
        await comes_back(admin)


@pytest.mark.timeout(180)
async def test_in_one_process_memory_does():
    with served({}) as (_, admin):
        await comes_back(admin)
        async with (
            listening(admin.url, "orders", "other", headers=admin.headers) as source,
            connected(admin.url, headers=admin.headers, first={"topics": ["orders"]}) as socket,
        ):
            await admin.publish("orders", 1, 2)
            assert await numbers(source, 2) == await numbers(socket, 2) == [1, 2]


async def comes_back(admin):
    """Over both protocols, several times, and each time to whichever process."""
    async with (
        listening(admin.url, "orders", headers=admin.headers) as source,
        connected(admin.url, "orders", headers=admin.headers) as socket,
    ):
        await admin.publish("orders", *range(5))
        assert await numbers(source, 5) == await numbers(socket, 5) == list(range(5))
        one, two = source.last_id, socket.last_id
    for begin in (5, 45, 85):
        missed = list(range(begin, begin + 40))
        await admin.publish("orders", *missed)
        async with (
            listening(admin.url, "orders", headers=admin.headers, last=one) as source,
            connected(admin.url, "orders", headers=admin.headers, last=two) as socket,
        ):
            assert await numbers(source, 40) == await numbers(socket, 40) == missed
            await nothing_more(source)
            one, two = source.last_id, socket.last_id


@pytest.mark.timeout(180)
async def test_streams_outlive_a_server_that_is_killed(own_valkey):
    with served({"REDIS_URL": own_valkey.server.url()}, processes=2) as (server, admin):
        async with AsyncExitStack() as stack:
            source, socket = await one_on_each(stack, server, admin)
            await admin.publish("orders", 1)
            assert await numbers(source, 1) == await numbers(socket, 1) == [1]
            own_valkey.server.command("SAVE")
            own_valkey.kill()
            with pytest.raises(AssertionError, match="503"):
                await admin.publish("orders", 2)
            own_valkey.start()
            await until_published(admin, 3)
            assert await numbers(source, 1) == await numbers(socket, 1) == [3]
            await admin.publish("orders", 4)
            assert await numbers(source, 1) == await numbers(socket, 1) == [4]
            await nothing_more(source)
            await nothing_more(socket)


@pytest.mark.timeout(180)
async def test_who_listens_to_a_server_that_lost_its_memory_is_told(own_valkey):
    with served({"REDIS_URL": own_valkey.server.url()}) as (_, admin):
        async with listening(admin.url, "orders", headers=admin.headers) as source:
            await admin.publish("orders", 1)
            assert await numbers(source, 1) == [1]
            own_valkey.kill()
            own_valkey.start()
            await until_published(admin, 2)
            message = await source.message()
            assert (message.kind, message.json) == ("gap", {"topic": "orders"})
            assert await numbers(source, 1) == [2]


async def until_published(admin, number):
    """Publish once the server takes it: its clients notice within a moment that it is back."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await admin.publish("orders", number)
            except AssertionError:
                await asyncio.sleep(0.05)
