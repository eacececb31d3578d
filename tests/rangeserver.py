"""A server of ours that speaks the range interface of Have I Been Pwned."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib

DIGEST = hashlib.sha1(b"password", usedforsecurity=False).hexdigest().upper()
PADDED = hashlib.sha1(b"padding", usedforsecurity=False).hexdigest().upper()


@contextlib.asynccontextmanager
async def ranges(status=b"200 OK", body=None):
    """The requests that came, and the address."""
    asked = []

    async def answer(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        prefix = asked[-1].split()[1].rpartition("/")[2]
        lines = [f"{each[5:]}:{count}" for each, count in ((DIGEST, 42), (PADDED, 0)) if each.startswith(prefix)]
        content = "\r\n".join([*lines, "0" * 35 + ":1"]).encode() if body is None else body
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(content)))
        with contextlib.suppress(ConnectionError):
            writer.write(content)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield asked, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/range"
