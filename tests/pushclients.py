"""Clients of pushed events, as a browser has them, and which server process each of them is talking to."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp

SECONDS = 20.0


@dataclass
class Message:
    """What an `EventSource` hands to its listener."""

    kind: str
    data: str
    id: str

    @property
    def json(self):
        return json.loads(self.data)


class EventSource:
    """Server-sent events over a bare socket."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self.status = 0
        self.headers = {}
        self.body = b""
        self.last_id = ""
        self.complete = False
        """Whether the answer was sent to its end, and not cut off."""
        self._lines = []
        self._text = b""

    @property
    def local_port(self):
        return self._writer.get_extra_info("sockname")[1]

    async def message(self, seconds=SECONDS):
        """The next message that has data; `None` at the end of the stream."""
        async with asyncio.timeout(seconds):
            kind, data = "message", []
            while (line := await self._line()) is not None:
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if line == "":
                    if data:
                        return Message(kind, "\n".join(data), self.last_id)
                    kind = "message"
                elif name == "data":
                    data.append(value)
                elif name == "event":
                    kind = value
                elif name == "id":
                    self.last_id = value
            return None

    async def opened(self):
        """Wait for the first id: from then on nothing is missed."""
        async with asyncio.timeout(SECONDS):
            while not self.last_id:
                line = await self._line()
                assert line is not None
                self.last_id = line.removeprefix("id: ") if line.startswith("id: ") else ""

    async def _line(self):
        while b"\n" not in self._text:
            size = await self._reader.readline()
            if not size or int(size, 16) == 0:
                self.complete = size.strip() == b"0"
                return None
            self._text += (await self._reader.readexactly(int(size, 16) + 2))[:-2]
        line, _, self._text = self._text.partition(b"\n")
        return line.decode()

    async def head(self):
        self.status = int((await self._reader.readline()).split()[1])
        while (line := (await self._reader.readline()).strip()) != b"":
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        if self.status != 200:
            self.body = await self._reader.readexactly(int(self.headers.get("content-length", "0")))


@asynccontextmanager
async def listening(url, *topics, headers, last="", path="/api/v1/events"):
    """An event source of these topics, opened."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    source = EventSource(reader, writer)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Last-Event-ID: {last}"] if last else []
    query = urlencode([("topic", topic) for topic in topics])
    head = "\r\n".join([f"GET {path}?{query} HTTP/1.1", f"Host: {parts.netloc}", *lines, "", ""])
    writer.write(head.encode())
    try:
        async with asyncio.timeout(SECONDS):
            await source.head()
        if source.status == 200:
            await source.opened()
        yield source
    finally:
        writer.close()


class Socket:
    """A WebSocket of pushed events."""

    def __init__(self, socket):
        self.socket = socket
        self.last_id = ""

    @property
    def local_port(self):
        return self.socket.get_extra_info("sockname")[1]

    @property
    def code(self):
        return self.socket.close_code

    async def message(self, seconds=SECONDS, *, kinds=("event", "gap", "end")):
        """The next message of these kinds; `None` once the connection is closed."""
        async with asyncio.timeout(seconds):
            while (found := await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                message = json.loads(found.data)
                self.last_id = message.get("id", self.last_id)
                if message["kind"] in kinds:
                    return message
            return None


@asynccontextmanager
async def connected(url, *topics, headers, last="", first=None):
    """A WebSocket of these topics, or of what the first message asks for, opened."""
    query = [("topic", topic) for topic in topics] + ([("last_event_id", last)] if last else [])
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/api/v1/events/ws?{urlencode(query)}", headers=headers, autoping=True) as socket,
    ):
        opened = Socket(socket)
        if first is not None:
            await socket.send_json(first)
        if topics or first is not None:
            await opened.message(kinds=("open", "end"))
        yield opened


@dataclass
class Owners:
    """Which child of a server a client's connection was accepted by. Linux tells it under `/proc`."""

    parent: int
    _children: list[int] = field(default_factory=list)

    def of(self, url, local_port):
        """The process id of the child that holds the other end of the client's connection."""
        wanted = f"socket:[{self._inode(urlsplit(url).port, local_port)}]"
        for child in self._descendants():
            for descriptor in Path(f"/proc/{child}/fd").iterdir():
                try:
                    if str(descriptor.readlink()) == wanted:
                        return child
                except OSError:
                    continue
        raise AssertionError(f"nobody holds the connection of port {local_port}")

    def _inode(self, server_port, client_port):
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            local, remote = (int(fields[place].split(":")[1], 16) for place in (1, 2))
            if (local, remote) == (server_port, client_port):
                return fields[9]
        raise AssertionError(f"there is no connection of port {client_port}")

    def _descendants(self):
        if not self._children:
            for path in Path("/proc").glob("[0-9]*/stat"):
                try:
                    if int(path.read_text().rpartition(")")[2].split()[1]) == self.parent:
                        self._children.append(int(path.parent.name))
                except OSError:
                    continue
        return self._children
