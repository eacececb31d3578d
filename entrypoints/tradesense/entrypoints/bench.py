"""`tradesense bench`: the same operations over several adapters of one room, side by side."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import msgspec

from tradesense.core.cache.ports import CacheStore
from tradesense.core.capabilities import Capability
from tradesense.core.errors import InvalidInput
from tradesense.core.secrets.ports import SecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret
from tradesense.entrypoints import parts
from tradesense.entrypoints.adapters import Adapters
from tradesense.plugins.manager import Plugins
from tradesense.settings.schema import Settings

SECONDS = 0.5
"""How long each operation is repeated."""

TASKS = 50
"""How many tasks call at once in the concurrent rows."""

MANY = 100
LISTED = 200
KIBIBYTE = bytes(1024)
LIFETIME = 300.0

Operation = Callable[[int], Awaitable[Any]]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One operation over one adapter."""

    adapter: str
    operation: str
    per_second: float
    median_us: float
    """Microseconds."""
    p99_us: float
    """Microseconds."""


async def cache_operations(store: CacheStore) -> dict[str, Operation]:
    """What is timed of a cache, over a present kibibyte."""
    keys = [f"bench:{number}" for number in range(MANY)]
    items = dict.fromkeys(keys, KIBIBYTE)
    await store.set_many(items, LIFETIME)
    return {
        "get hit": lambda _: store.get(keys[0]),
        "get miss": lambda _: store.get("bench:absent"),
        "set": lambda number: store.set(keys[number % MANY], KIBIBYTE, LIFETIME),
        f"get_many {MANY}": lambda _: store.get_many(keys),
        f"set_many {MANY}": lambda _: store.set_many(items, LIFETIME),
    }


async def secrets_operations(store: SecretStore, capabilities: frozenset[Capability]) -> dict[str, Operation]:
    """What is timed of a secrets provider; a provider that cannot be written is asked for what it has."""
    if Capability.WRITE not in capabilities:
        return {"list": lambda _: store.list(limit=LISTED)}
    writable: WritableSecretStore = store  # type: ignore[assignment]  # declared, and proved by the contract suite
    folder, value = f"bench-{secrets.token_hex(4)}", Secret(KIBIBYTE.hex())
    paths = [f"{folder}/{number:04}" for number in range(LISTED)]
    for path in paths:
        await writable.put(path, value)
    return {
        "get": lambda number: store.get(paths[number % LISTED]),
        "put": lambda number: writable.put(paths[number % LISTED], value),
        f"list {LISTED}": lambda _: store.list(folder, limit=LISTED),
    }


ROOMS = ("cache", "secrets")


async def measure(room: str, names: Sequence[str], settings: Settings, plugins: Plugins) -> list[Row]:
    """Time every operation of ``room`` over the adapters ``names``, one adapter after the other.

    :raises InvalidInput: the room has no benchmark.
    :raises UnknownProvider: no plugin offers one of the adapters.
    :raises Unavailable: an adapter's server does not answer.
    """
    if room not in ROOMS:
        raise InvalidInput(f"there is no benchmark for {room!r}", mend=f"use one of {', '.join(ROOMS)}")
    rows: list[Row] = []
    for name in names:
        async with _operations(room, name, settings, plugins) as operations:
            for label, operation in operations.items():
                rows.append(await _time(name, label, operation, tasks=1))
                rows.append(await _time(name, f"{label}, {TASKS} tasks", operation, tasks=TASKS))
    return rows


@asynccontextmanager
async def _operations(
    room: str, name: str, settings: Settings, plugins: Plugins
) -> AsyncGenerator[dict[str, Operation]]:
    adapters = Adapters(settings, plugins)
    async with AsyncExitStack() as stack:
        if room == "cache":
            cache = adapters.choose(CacheStore, name, "--adapters")
            await adapters.open(stack)
            yield await cache_operations(cache)
        else:
            adapters.context.chain = parts.audit_chain(adapters, settings)
            adapters.context.sealer = lambda: parts.sealer(adapters, settings)
            store = adapters.choose(SecretStore, name, "--adapters")
            await adapters.open(stack)
            yield await secrets_operations(store, adapters.capabilities(SecretStore, name))


async def _time(adapter: str, label: str, operation: Operation, *, tasks: int) -> Row:
    times: list[float] = []
    began = perf_counter()
    end = began + SECONDS

    async def repeat(offset: int) -> None:
        number = offset
        while (start := perf_counter()) < end:
            await operation(number)
            times.append(perf_counter() - start)
            number += tasks
            if tasks > 1:
                await asyncio.sleep(0)  # an adapter in memory never waits, and would keep its turn to itself

    await operation(0)
    async with asyncio.TaskGroup() as group:
        for offset in range(tasks):
            group.create_task(repeat(offset))
    took = perf_counter() - began
    return Row(
        adapter=adapter,
        operation=label,
        per_second=len(times) / took,
        median_us=median(times) * 1e6,
        p99_us=quantiles(times, n=100)[-1] * 1e6 if len(times) > 1 else times[0] * 1e6,
    )
