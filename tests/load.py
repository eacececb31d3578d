"""A steady load on a running server, and what it has answered.

`Load(server.url, calls)` asks each of the named calls in turn, so many times a second in all, from several
connections, until it is left; every answer is kept with its time.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

import httpx2

Call = Callable[[httpx2.Client], httpx2.Response]

PATIENCE = 30.0
"""Seconds after which a request counts as one that hangs."""


class Seen(NamedTuple):
    """One answer."""

    name: str
    began: float
    seconds: float
    status: int
    """0 where the connection was reset or nobody answered."""
    error: str


class Load:
    """Asks while the ``with`` block lasts."""

    def __init__(
        self,
        url: str,
        calls: Mapping[str, Call],
        *,
        headers: Mapping[str, str] | None = None,
        rate: float = 50.0,
        connections: int = 16,
    ) -> None:
        self._url = url
        self._calls = itertools.cycle(calls.items())
        self._headers = dict(headers or {})
        self._pause = connections / rate
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(connections)]
        self.seen: list[Seen] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask no more, and wait for what was asked."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE + 5)

    def between(self, began: float, ended: float = float("inf"), name: str = "") -> list[Seen]:
        """What was asked within these moments of `time.monotonic`."""
        return [one for one in list(self.seen) if began <= one.began < ended and name in {"", one.name}]

    def statuses(self, began: float, ended: float = float("inf")) -> dict[str, Counter[int]]:
        """How often each call was answered by which status."""
        found: dict[str, Counter[int]] = {}
        for one in self.between(began, ended):
            found.setdefault(one.name, Counter())[one.status] += 1
        return found

    def _ask(self) -> None:
        with httpx2.Client(
            base_url=self._url, headers=self._headers, timeout=PATIENCE, trust_env=False, verify=False
        ) as client:
            while not self._stop.is_set():
                with self._turn:
                    name, call = next(self._calls)
                began = time.monotonic()
                try:
                    status, error = call(client).status_code, ""
                except httpx2.TransportError as failure:
                    status, error = 0, type(failure).__name__
                now = time.monotonic()
                self.seen.append(Seen(name, began, now - began, status, error))
                self._stop.wait(max(0.0, self._pause - (now - began)))


def p99(seen: list[Seen]) -> float:
    """The time within which 99 of 100 were answered."""
    seconds = sorted(one.seconds for one in seen)
    return seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
