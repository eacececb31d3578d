"""Pushed events over real sockets: who may listen, how a stream ends, and what it costs who does not keep up."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest
from talking import Person, Talker

from platform_process import serving
from pushclients import connected, listening

SETTINGS = {
    "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS": "1000",
    "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_ADDRESS": "1000",
    "TRADESENSE_EVENTS__HEARTBEAT": "1",
    "TRADESENSE_EVENTS__RECHECK": "0.5",
    "TRADESENSE_EVENTS__BUFFER": "4",
    "TRADESENSE_EVENTS__STREAMS_PER_CALLER": "3",
    "TRADESENSE_HTTP__ALLOWED_ORIGINS": '["https://app.example.org"]',
}
LARGE = "x" * 60_000


@pytest.fixture(scope="module")
def pushing():
    with serving(SETTINGS) as server:
        yield server


@pytest.fixture  # a session of its own for each test, as one may have only so many streams
def bearer(pushing):
    body = {"email": pushing.admin_email, "password": pushing.admin_password, "mode": "token"}
    with Talker(pushing.url) as talker:
        token = talker.post("/api/v1/auth/login", json=body).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def at_a_browser(pushing):
    """The administrator, logged in by cookie."""
    with Person(pushing.url, pushing.admin_email, pushing.admin_password) as person:
        person.log_in()
        yield person


def cookie(person, **more):
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in person.cookies.items()), **more}


def publish(pushing, headers, topic="orders", data: object = 1):
    event = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "org.example.made", "data": data}
    with Talker(pushing.url) as talker:
        return talker.post(f"/api/v1/topics/{topic}/events", json=event, headers=headers)


async def refused(pushing, headers, *topics, path="/api/v1/events/ws"):
    """The status that a handshake is answered with."""
    query = "&".join(f"topic={topic}" for topic in topics)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"{pushing.url}{path}?{query}", headers=headers)
    return caught.value.status


async def test_R38_nobody_listens_unknown_or_without_the_permission_on_the_topic(pushing, bearer):
    async with listening(pushing.url, "orders", headers={}) as source:
        assert source.status == 401
    assert await refused(pushing, {}, "orders") == 401
    with Person(pushing.url, "listener@example.org") as person:
        person.sign_up()
        person.log_in()
        origin = {"Origin": pushing.url}
        async with listening(pushing.url, "orders", headers=cookie(person)) as source:
            assert source.status == 403
            assert b"events:read:orders" in source.body
        assert await refused(pushing, cookie(person, **origin), "orders") == 403
        async with connected(pushing.url, headers=cookie(person, **origin), first={"topics": ["orders"]}) as refusal:
            assert await refusal.message() is None
            assert refusal.code == 1008
        assert publish(pushing, {}, "orders").status_code == 401
    assert publish(pushing, bearer, "orders").status_code == 202


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1.evil.example"]
)
async def test_R26_a_socket_is_not_opened_for_pages_of_others(pushing, at_a_browser, bearer, origin):
    assert await refused(pushing, cookie(at_a_browser, Origin=origin), "orders") == 403
    assert await refused(pushing, {**bearer, "Origin": origin}, "orders") == 403


async def test_R26_with_a_cookie_the_origin_is_said_and_ours(pushing, at_a_browser):
    assert await refused(pushing, cookie(at_a_browser), "orders") == 403
    for origin in (pushing.url, "https://app.example.org"):
        async with connected(pushing.url, "orders", headers=cookie(at_a_browser, Origin=origin)) as opened:
            assert opened.last_id.startswith("orders=")


async def test_what_is_no_stream_is_refused(pushing, bearer):
    assert await refused(pushing, bearer, "orders", path="/api/v1/elsewhere") == 404
    assert await refused(pushing, {**bearer, "Host": "evil.example"}, "orders") == 400
    assert await refused(pushing, bearer, "Orders") == 400
    assert await refused(pushing, bearer, *(f"t{number}" for number in range(17))) == 400
    with Talker(pushing.url) as talker:
        answer = talker.get("/api/v1/events/ws?topic=orders", headers=bearer)
        assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
        assert talker.get("/api/v1/events", headers=bearer).status_code == 400
    for last in ("orders", "orders=x", "orders=1-0;Orders=1-0", "=1-0"):
        async with listening(pushing.url, "orders", headers=bearer, last=last) as source:
            assert source.status == 400, last


@pytest.mark.parametrize("first", [{"topics": []}, {"topic": "orders"}, ["orders"], {"topics": ["x" * 9000]}])
async def test_a_first_message_that_says_nothing_ends_it(pushing, bearer, first):
    async with connected(pushing.url, headers=bearer, first=first) as opened:
        assert await opened.message() is None
        assert opened.code in {1008, 1009}


async def test_a_second_message_ends_it(pushing, bearer):
    async with connected(pushing.url, "orders", headers=bearer) as opened:
        await opened.socket.send_str("more")
        assert await opened.message() is None
        assert opened.code == 1008


async def test_silence_is_filled_with_heartbeats(pushing, bearer):
    async with connected(pushing.url, "quiet", headers=bearer) as opened:
        beat = await opened.message(kinds=("heartbeat",))
        assert beat == {"kind": "heartbeat", "id": "quiet="}


async def test_R15_a_stream_ends_with_its_session(pushing, at_a_browser, bearer):
    headers = cookie(at_a_browser, Origin=pushing.url)
    async with (
        listening(pushing.url, "orders", headers=headers) as source,
        connected(pushing.url, "orders", headers=headers) as opened,
    ):
        assert publish(pushing, bearer).status_code == 202
        assert (await source.message()).json["data"] == 1
        assert (await opened.message())["event"]["data"] == 1
        assert at_a_browser.send_proved("POST", "/api/v1/auth/logout").status_code in {200, 204}
        ended = await source.message()
        assert (ended.kind, ended.json) == ("end", {"reason": "revoked"})
        assert await source.message() is None
        assert await opened.message() == {"kind": "end", "reason": "revoked"}
        assert await opened.message() is None
        assert opened.code == 1008


async def test_one_caller_has_only_so_many_streams(pushing, bearer):
    async with (
        listening(pushing.url, "orders", headers=bearer) as first,
        listening(pushing.url, "orders", headers=bearer),
        connected(pushing.url, "orders", headers=bearer),
    ):
        assert first.status == 200
        assert await refused(pushing, bearer, "orders") == 429
        async with listening(pushing.url, "orders", headers=bearer) as source:
            assert (source.status, "retry-after" in source.headers) == (429, True)


@pytest.mark.parametrize("protocol", ["sse", "websocket"])
async def test_who_does_not_keep_up_is_dropped(pushing, bearer, protocol):
    topic = f"heavy-{protocol}"
    url = pushing.url.removeprefix("http://")
    host, _, port = url.partition(":")
    upgrade = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    path = "/api/v1/events" if protocol == "sse" else "/api/v1/events/ws"
    own = upgrade if protocol == "websocket" else []
    head = [f"GET {path}?topic={topic} HTTP/1.1", f"Host: {url}", f"Authorization: {bearer['Authorization']}", *own]
    dropped = pushing.output.count("a listener was dropped")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect((host, int(port)))
        client.sendall("\r\n".join([*head, "", ""]).encode())
        assert client.recv(12).startswith(b"HTTP/1.1 ")
        for _ in range(200):  # the kernel's buffers are filled first
            publish(pushing, bearer, topic, LARGE)
            if pushing.output.count("a listener was dropped") > dropped:
                break
        pushing.wait_for_line(lambda line: "a listener was dropped" in line)
        assert await asyncio.to_thread(_to_the_end, client) < 200 * len(LARGE)
    with Talker(pushing.url) as talker:
        assert 'tradesense_events_listeners_ended_total{reason="slow"}' in talker.get("/metrics").text


def _to_the_end(client):
    """How much there was, until the connection was closed."""
    read = 0
    try:
        while part := client.recv(65536):
            read += len(part)
    except ConnectionError:
        pass
    return read


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"data": "x" * 70_000}, 413, "65536"),
        ({"specversion": "0.3"}, 400, "specversion"),
        ({"id": ""}, 400, "id"),
        ({"source": "a b"}, 400, "source"),
        ({"Extension": 1}, 400, "extension"),
        ({"traceparent": "00-0-0-00"}, 400, "traceparent"),
        ({"time": "yesterday"}, 400, "time"),
    ],
)
def test_what_is_no_event_is_not_taken(pushing, bearer, change, status, word):
    event = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "org.example.made", **change}
    with Talker(pushing.url) as talker:
        kind = {"Content-Type": "application/cloudevents+json"}
        answer = talker.post("/api/v1/topics/orders/events", json=event, headers={**bearer, **kind})
    assert answer.status_code == status
    assert word in answer.json()["detail"]
