"""The peer of the HTTP rows: one Litestar route on granian, with nothing else. Run as `python bare.py PORT`."""

from __future__ import annotations

import sys

import msgspec
from granian import Granian
from granian.constants import Interfaces
from litestar import Litestar, get


class Answer(msgspec.Struct):
    """A body of the size of the measured route's."""

    id: str
    email: str
    roles: list[str]
    authenticated_at: str
    via: str


@get("/bare")
async def bare() -> Answer:
    return Answer(
        "0192f0c1-2345-7abc-8def-0123456789ab", "admin@example.org", ["admin"], "2026-01-01T00:00:00Z", "cookie"
    )


app = Litestar([bare], openapi_config=None)

if __name__ == "__main__":
    Granian(
        "bare:app", address="127.0.0.1", port=int(sys.argv[1]), interface=Interfaces.ASGI, log_enabled=False
    ).serve()
