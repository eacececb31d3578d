"""A receiver of webhooks: a server over TLS that remembers what it is sent, and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import trustme

HOST, ADDRESS = "hooks.example.org", "127.0.0.2"
"""Another address than that of everything else that listens on the machine."""


class Receiver:
    """The server; ``answers`` ends with what it says next."""

    def __init__(self, ca_file: Path) -> None:
        self.ca_file = str(ca_file)
        self.address, self.port = ADDRESS, 0
        self.seen: list[tuple[bytes, bytes]] = []
        """Head and body of each post."""
        self.answers = [b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one post."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.seen.append((head, await reader.readexactly(length)))
            writer.write(self.answers[-1])
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def receiving(folder: Path) -> AsyncIterator[Receiver]:
    """A receiver with a certificate of :data:`HOST`, by an authority of its own."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    receiver = Receiver(folder / "ca.pem")
    async with await asyncio.start_server(receiver.serve, ADDRESS, 0, ssl=context) as server:
        receiver.port = server.sockets[0].getsockname()[1]
        yield receiver
