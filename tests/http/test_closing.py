"""What does not end by itself ends when the server closes, and nothing of the kind begins any more."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest
from msgspec.structs import replace
from talking import ask

from tradesense.entrypoints.http.administrator import first_administrator
from tradesense.entrypoints.http.app import create_app
from tradesense.entrypoints.http.readiness import Readiness

SECONDS = 8.0
"""Less than the streams' heartbeat and than the wait for a first message."""
STREAMS = {"/ofrep/v1/events": b"", "/api/v1/events": b"topic=orders"}


class Client:
    """One that stays connected and says nothing."""

    def __init__(self):
        self.connected = asyncio.Event()
        self.sent = []
        self._begun = False

    async def receive(self):
        if not self._begun:
            self._begun = True
            return {"type": "websocket.connect"}
        self.connected.set()
        return await asyncio.Future()

    async def listen(self):
        self.connected.set()
        return await asyncio.Future()

    async def send(self, message):
        self.sent.append(message)


@pytest.fixture
async def closing(services):
    """An application, how to close it, and who may listen."""
    services = dataclasses.replace(services, settings=replace(services.settings, environment="development"))
    made = await first_administrator(services)
    readiness = Readiness(services.health, services.clock)
    app = create_app(services, readiness=readiness)
    body = {"email": made.email, "password": made.password.reveal(), "mode": "token"}
    token = json.loads((await ask(app, "POST", "/api/v1/auth/login", body=body)).body)["access_token"]

    def close():
        readiness.drain()
        services.hub.end("the server is closing")

    return app, close, (b"authorization", b"Bearer " + token.encode())


async def test_F14_streams_end_with_a_last_word_and_none_begins(closing):
    app, close, bearer = closing
    streams = []
    for path, query in STREAMS.items():
        client = Client()
        asking = ask(app, "GET", path, headers=[bearer], query=query, receive=client.listen)
        streams.append(asyncio.create_task(asking))
        await asyncio.wait_for(client.connected.wait(), SECONDS)
    close()
    for answer in await asyncio.wait_for(asyncio.gather(*streams), SECONDS):
        assert answer.status == 200
        assert answer.body.endswith(b'event: end\ndata: {"reason":"closing"}\n\n')
    for path, query in STREAMS.items():
        refused = await asyncio.wait_for(ask(app, "GET", path, headers=[bearer], query=query), SECONDS)
        assert (refused.status, json.loads(refused.body)["type"].rpartition(":")[2]) == (503, "listener-dropped")


async def test_F14_a_socket_that_has_not_said_what_it_wants_is_told_to_go(closing):
    app, close, bearer = closing
    client = Client()
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/api/v1/events/ws",
        "raw_path": b"/api/v1/events/ws",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8000"), bearer],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", "8000"),
        "subprotocols": [],
        "state": {},
    }
    conversation = asyncio.create_task(app(scope, client.receive, client.send))
    await asyncio.wait_for(client.connected.wait(), SECONDS)
    close()
    await asyncio.wait_for(conversation, SECONDS)
    assert [message["type"] for message in client.sent] == ["websocket.accept", "websocket.close"]
    assert client.sent[-1]["code"] == 1001
