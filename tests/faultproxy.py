"""A TCP proxy that makes a connection fail in the ways in which networks do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from types import TracebackType
from typing import Self


class FaultProxy:
    """Stands before a server on a loopback port of its own.

    Faults are attributes, and may change while connections are open: `latency` (seconds, each way and chunk),
    `black_hole` (bytes are taken and go nowhere until it is false again), `cut_after` (reset after that many bytes of
    one direction).
    """

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.upstream = (host, port)
        self.tls = tls
        """With it, clients speak TLS to the proxy, which speaks to the server as before."""
        self.host = "127.0.0.1"
        self.port = 0
        self.latency = 0.0
        self.cut_after: int | None = None
        self.accepted = 0
        """Connections taken so far."""
        self.sent = 0
        """How often something came from the client's side: at most once for each question that is not pipelined."""
        self._passing = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def black_hole(self) -> bool:
        return not self._passing.is_set()

    @black_hole.setter
    def black_hole(self, on: bool) -> None:
        if on:
            self._passing.clear()
        else:
            self._passing.set()

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.down()

    async def up(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse new connections and reset those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset(self) -> None:
        """Reset (RST) every open connection; new ones are taken."""
        for writer in list(self._writers):
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError, AttributeError):  # closed meanwhile
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        opened = [writer]
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.upstream)
            opened.append(up_writer)
            self._writers.add(up_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, up_writer, asking=True))
                group.create_task(self._pump(up_reader, writer))
        except (OSError, asyncio.CancelledError, BaseExceptionGroup):
            pass  # the pair is closed below whatever ended it
        finally:
            for each in opened:
                self._writers.discard(each)
                each.transport.abort()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asking: bool = False) -> None:
        passed = 0
        while data := await reader.read(65_536):
            self.sent += asking
            if self.latency:
                await asyncio.sleep(self.latency)
            await self._passing.wait()
            if self.cut_after is not None and passed + len(data) > self.cut_after:
                writer.write(data[: self.cut_after - passed])
                await writer.drain()
                self.reset()
                return
            passed += len(data)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
