"""A small load generator: keep-alive connections, one request at a time on each, over plain sockets."""

from __future__ import annotations

import asyncio
import http.client
import sys
import time
from urllib.parse import urlsplit

import psutil

CPUCLOCK_SCHED = 2
"""What Linux's clock_getcpuclockid(3) puts into the last bits of a process's clock: all of its threads' time."""


def request_bytes(url: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A GET request, or a POST of JSON, ready to be sent again and again."""
    parts = urlsplit(url)
    if body:
        headers = {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [
        f"{'POST' if body else 'GET'} {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        *(f"{k}: {v}" for k, v in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def send(url: str, headers: dict[str, str], *, count: int, connections: int = 8, body: bytes = b"") -> None:
    """Send ``count`` requests over ``connections`` connections; every answer must be 200."""
    parts, message = urlsplit(url), request_bytes(url, headers, body)

    async def one(share: int) -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for _ in range(share):
            writer.write(message)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode(errors="replace"))
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one(count // connections) for _ in range(connections)))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of everything that it started, as the operating system counts it."""
    root = psutil.Process(pid)
    return sum(_own_seconds(process) for process in (root, *root.children(recursive=True)))


def _own_seconds(process: psutil.Process) -> float:
    """The time of one process, in nanoseconds where the system has a clock for it, else in its ticks."""
    if sys.platform == "linux":
        return time.clock_gettime(~process.pid << 3 | CPUCLOCK_SCHED)
    return float(sum(process.cpu_times()[:2]))


def answers(url: str) -> bool:
    """Whether the server answers at all."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=1)
    try:
        connection.request("GET", parts.path)
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True
