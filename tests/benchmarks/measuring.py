"""What a row of the table is, and how the CPU time of a server's requests is measured."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx2

import load
from platform_process import ServerHandle

REQUESTS = 480
"""Per sample: so few that a busy moment of the machine meets both sides."""

SAMPLES = 20


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    id: str
    operation: str
    ours: float
    peer: float
    unit: str
    bound: float
    absolute: bool = False
    """Whether the bound is on `ours` itself."""

    @property
    def ratio(self) -> float:
        return self.ours if self.absolute else self.ours / self.peer

    @property
    def holds(self) -> bool:
        return self.ratio <= self.bound


def session_headers(server: ServerHandle) -> dict[str, str]:
    """The administrator's session, as a browser sends it."""
    with httpx2.Client(base_url=server.url) as client:
        token = client.get("/api/v1/auth/csrf").json()["csrf_token"]
        body = {"email": server.admin_email, "password": server.admin_password}
        client.post(
            "/api/v1/auth/login", json=body, headers={"X-CSRF-Token": token, "Origin": server.url}
        ).raise_for_status()
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}


@dataclass(frozen=True)
class Served:
    """A server that is measured."""

    url: str
    headers: dict[str, str]
    pid: int
    body: bytes = b""
    """What is posted; it is a GET where there is none."""

    def load(self) -> None:
        """Send one sample's requests."""
        asyncio.run(load.send(self.url, self.headers, count=REQUESTS, body=self.body))


def micros_per_request(*sides: Served) -> list[float]:
    """CPU microseconds that each server spends on a request, the requests of all of them sent in turn.

    It is the mean over all samples and what lies between them: what a server does beside its answers, as the export of
    spans, is counted whenever it does it.
    """
    for side in sides:
        side.load()
    before = [load.cpu_seconds(side.pid) for side in sides]
    for _ in range(SAMPLES):
        for side in sides:
            side.load()
    spent = [load.cpu_seconds(side.pid) - then for side, then in zip(sides, before, strict=True)]
    return [seconds / (SAMPLES * REQUESTS) * 1e6 for seconds in spent]
