"""What a secret costs among a hundred thousand, against the same one among ten."""

from __future__ import annotations

import base64
import contextlib
import os
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import identityload
from identityload import micros
from measuring import Row

from tradesense.core.sensitive import Secret

SMALL, LARGE = 10, 100_000
PATH = "team-m/db/password"
SAMPLES = 9

Operations = dict[str, Callable[[], Awaitable[object]]]
ENV = {
    "TRADESENSE_SECRETS__PROVIDER": "sql",
    "TRADESENSE_SECRETS__LOCAL__ROOT_KEY": base64.b64encode(os.urandom(32)).decode(),
}


def operations(store: Any) -> Operations:
    """What is measured of a store that holds `PATH`."""
    return {
        "read": lambda: store.get(PATH),
        "written": lambda: store.put(PATH, Secret("x" * 32)),
        "listed, 10": lambda: store.list("team-", limit=10),
    }


async def growth() -> dict[str, tuple[float, float]]:
    """Microseconds of each operation among many, and among few."""
    async with identityload.on_sqlite(ENV) as (services, place):
        store = services.secrets._provider.store  # the store is what is measured
        await store.put(PATH, Secret("x" * 32))
        _fill(place, SMALL)
        small = {name: await _measured(call) for name, call in operations(store).items()}
        _fill(place, LARGE)
        return {name: (await _measured(call), small[name]) for name, call in operations(store).items()}


async def _measured(call: Callable[[], Awaitable[object]]) -> float:
    await micros(call, 50)
    return min([await micros(call, 100) for _ in range(SAMPLES)])


def _fill(place: Path, count: int) -> None:
    """Bring the tables to so many secrets, around the one that is measured, by the shortest way."""
    with contextlib.closing(sqlite3.connect(place)) as connection:
        (there,) = connection.execute("SELECT count(*) FROM secrets").fetchone()
        paths = [f"team-{'am'[number % 2]}/{number:06}" for number in range(there, count)]
        connection.executemany(
            "INSERT INTO secrets (path, current_version, latest_version) VALUES (?, 1, 1)", ((path,) for path in paths)
        )
        connection.executemany(
            "INSERT INTO secret_versions (path, version, envelope, created_at, state, key_id)"
            " SELECT ?, 1, envelope, created_at, state, key_id FROM secret_versions WHERE path = ? AND version = 1",
            ((path, PATH) for path in paths),
        )
        connection.commit()


def p21() -> list[Row]:
    """Ten secrets to a hundred thousand."""
    found = identityload.run(growth())
    return [Row("P21", f"secret {name}, 10 to 100,000", *sides, "us", 1.5) for name, sides in found.items()]


ROWS = (p21,)
