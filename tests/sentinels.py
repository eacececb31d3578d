"""A primary and its replica with three sentinels that watch over them: real processes, for tests of fail-over."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import binaries
from server_kinds import HOST, Valkey, free_port, wait_until
from servers import ServerFailed, reachable_folder, tail

SERVICE = "primary"
DOWN_MILLISECONDS = 1000
"""Silence after which a sentinel takes the primary for dead."""


class Watched:
    """Two servers and their sentinels. `url` is what the platform is given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.servers = [Valkey(port=free_port()) for _ in range(2)]
        first, second = self.servers
        self.start(first)
        self.start(second, "--replicaof", HOST, str(first.port))
        wait_until(lambda: self._linked(second), "the replica")
        self.sentinels = [Valkey(port=free_port()) for _ in range(3)]
        for sentinel in self.sentinels:
            self._watch(sentinel, first)
        for sentinel in self.sentinels:
            wait_until(lambda one=sentinel: self._knows_all(one), "the sentinels")

    @property
    def url(self) -> str:
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def primary(self) -> Valkey:
        """Which server the sentinels name now."""
        for sentinel in self.sentinels:
            if self.processes[sentinel.port].poll() is None:
                port = self._told(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1]
                return next(server for server in self.servers if server.port == int(port))
        raise ServerFailed("no sentinel is left")

    def fail_over(self) -> None:
        """Kill the primary, and one sentinel as well; return when another server is the primary."""
        former = self.primary()
        self.kill(former)
        self.kill(self.sentinels[0])
        wait_until(lambda: self.primary() != former, "the fail-over", seconds=60)
        wait_until(lambda: "role:master" in self._info(self.primary(), "replication"), "the new primary", seconds=30)
        well = f"status=ok,address={HOST}:{self.primary().port}"
        for sentinel in self.sentinels[1:]:
            wait_until(lambda one=sentinel: well in self._info(one, "sentinel"), "the sentinels' consent", seconds=30)

    def kill(self, server: Valkey) -> None:
        self.processes[server.port].kill()
        self.processes[server.port].wait()

    def start(self, server: Valkey, *words: str) -> None:
        options = ("--bind", HOST, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
        self._spawn(server, binaries.valkey(), "--port", str(server.port), *options, *words)

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _watch(self, sentinel: Valkey, primary: Valkey) -> None:
        file = self._folder / f"sentinel-{sentinel.port}.conf"
        file.write_text(
            f"port {sentinel.port}\nbind {HOST}\ndir {self._folder}\n"
            f"sentinel monitor {SERVICE} {HOST} {primary.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_MILLISECONDS}\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        self._spawn(sentinel, binaries.valkey(), str(file), "--sentinel")

    def _spawn(self, server: Valkey, *argv: str) -> None:
        log = self._folder / f"{server.port}.log"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                argv, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
            )
        self.processes[server.port] = process
        if not wait_until(lambda: answers(server), argv[0], unless=lambda: process.poll() is not None):
            raise ServerFailed(f"{argv[0]} ended while it was started; its log ends with:\n{tail(log)}")

    def _linked(self, replica: Valkey) -> bool:
        return "master_link_status:up" in self._info(replica, "replication")

    def _knows_all(self, sentinel: Valkey) -> bool:
        told = self._info(sentinel, "sentinel")
        return "slaves=1,sentinels=3" in told and "status=ok" in told

    def _info(self, server: Valkey, section: str) -> str:
        return "".join(self._told(server, "INFO", section))

    def _told(self, server: Valkey, *words: str) -> list[str]:
        return told(server, *words)


def told(server: Valkey, *words: str) -> list[str]:
    """The texts of an answer: one for a bulk, all for an array of them."""
    with socket.create_connection((server.host, server.port), timeout=5) as connection:
        connection.sendall((" ".join(words) + "\r\n").encode())
        with connection.makefile("rb") as stream:
            head = stream.readline()
            if head[:1] == b"*":
                return [_bulk(stream, stream.readline()) for _ in range(int(head[1:]))]
            if head[:1] == b"$":
                return [_bulk(stream, head)]
            return [head[1:].decode().strip()]


def _bulk(stream, head: bytes) -> str:
    text = stream.read(int(head[1:])).decode()
    stream.readline()
    return text


def answers(server: Valkey) -> bool:
    try:
        return told(server, "PING") == ["PONG"]
    except OSError:
        return False


@contextlib.contextmanager
def watched() -> Iterator[Watched]:
    """A primary, a replica and three sentinels, ended afterwards."""
    with reachable_folder() as folder:
        servers = None
        try:
            servers = Watched(folder)
            yield servers
        finally:
            if servers is not None:
                servers.stop()
