"""Measuring the adapters of a room, one after the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import perf_counter

import msgspec

from tradesense.core.errors import InvalidInput
from tradesense.entrypoints.bench import cache, facts, secrets, zipf
from tradesense.entrypoints.bench.timing import TASKS, Operation, Row, timed
from tradesense.entrypoints.bench.zipf import HitRate
from tradesense.plugins.manager import Plugins
from tradesense.settings.schema import Settings

ROOMS = ("cache", "secrets")
SECONDS = 0.5
"""How long each operation is repeated."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What one run has found."""

    room: str
    rows: tuple[Row, ...]
    hit_rates: tuple[HitRate, ...] = ()
    facts: dict[str, str]


async def measure(room: str, names: Sequence[str], settings: Settings, plugins: Plugins) -> list[Row]:
    """Time every operation of ``room`` over the adapters ``names``, one adapter after the other.

    :raises InvalidInput: the room has no benchmark.
    :raises UnknownProvider: no plugin offers one of the adapters.
    :raises ConfigurationError: an adapter needs a server, and the settings name none.
    :raises Unavailable: an adapter's server does not answer.
    """
    if room not in ROOMS:
        raise InvalidInput(f"there is no benchmark for {room!r}", mend=f"use one of {', '.join(ROOMS)}")
    rows: list[Row] = []
    for name in names:
        async with _operations(room, name, settings, plugins) as operations:
            for label, operation in operations.items():
                rows.append(await timed(name, label, operation, tasks=1, seconds=SECONDS))
                if label not in secrets.ALONE:
                    rows.append(await timed(name, label, operation, tasks=TASKS, seconds=SECONDS))
    return rows


async def experiment(room: str, names: Sequence[str], settings: Settings, plugins: Plugins, *, seed: int) -> Results:
    """:func:`measure`, and what else a report of the room shows, with the facts of the run."""
    known = {"began": datetime.now(UTC).isoformat(" ", "seconds"), **facts.machine()}
    began = perf_counter()
    rows = await measure(room, names, settings, plugins)
    rates = [await zipf.hit_rate(name, settings, plugins, seed=seed) for name in names] if room == "cache" else []
    known["adapters"] = "; ".join(cache.described(name, settings) for name in names) if rates else ", ".join(names)
    known["seed of the load"] = str(seed)
    known["durations"] = f"{SECONDS:g} s for each operation, {perf_counter() - began:.0f} s in all"
    return Results(room=room, rows=tuple(rows), hit_rates=tuple(rates), facts=known)


@asynccontextmanager
async def _operations(
    room: str, name: str, settings: Settings, plugins: Plugins
) -> AsyncGenerator[dict[str, Operation]]:
    if room == "secrets":
        async with secrets.opened(name, settings, plugins) as operations:
            yield operations
        return
    async with cache.opened(name, settings, plugins) as subject:
        yield await (cache.operations(subject.store) if isinstance(subject, cache.Plain) else subject.operations())
