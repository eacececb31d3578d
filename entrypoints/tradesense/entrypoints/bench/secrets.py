"""What is timed of the secrets room."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from tradesense.core.capabilities import Capability
from tradesense.core.secrets.ports import RecoverableSecretStore, WritableSecretStore
from tradesense.core.secrets.provider import Provider
from tradesense.core.secrets.reads import CachedReads
from tradesense.core.sensitive import Secret
from tradesense.entrypoints import parts, rotating
from tradesense.entrypoints.adapters import Adapters
from tradesense.entrypoints.bench.cache import KIBIBYTE
from tradesense.entrypoints.bench.timing import Operation
from tradesense.plugins.manager import Plugins
from tradesense.settings.schema import Settings

LISTED = 1_000
LIST = f"list {LISTED:,}"
ALONE = {LIST}
"""What one task does alone: some providers are asked about every single secret for it."""
WARM = 10
"""How many secrets are read again and again: few, so that a slow provider is not timed by the first read of each."""
AT_ONCE = 20
"""How many secrets are written, and removed, at the same time around the measuring."""


@asynccontextmanager
async def opened(
    name: str, settings: Settings, plugins: Plugins, *, listed: int = LISTED
) -> AsyncGenerator[dict[str, Operation]]:
    """The operations of the provider that ``name`` stands for, while it is open. What they need is removed afterwards.

    :param listed: how many secrets there are to read and to list. A provider that cannot be written is asked for what
        it has.
    """
    adapters = Adapters(settings, plugins)
    async with AsyncExitStack() as stack:
        adapters.context.chain = parts.audit_chain(adapters, settings)
        provider = parts.named_provider(adapters, settings, name, "--adapters")
        reads = rotating.reads(adapters, settings, provider)
        sealed = Capability.ENVELOPES in provider.capabilities
        forget = adapters.context.sealer.forget if sealed else _nothing
        await adapters.open(stack)
        if reads is not None:
            stack.push_async_callback(reads.cache.aclose)
        if Capability.WRITE not in provider.capabilities:
            yield _reading(provider, reads, forget, list((await provider.store.list(limit=LISTED)).items), "")
            return
        store, folder, value = provider.writable(), f"bench-{secrets.token_hex(4)}", Secret(KIBIBYTE.hex())
        paths = [f"{folder}/{number:04}" for number in range(listed)]
        try:
            await _each(paths, lambda path: store.put(path, value))
            put: dict[str, Operation] = {"put": lambda number: store.put(paths[number % listed], value)}
            yield put | _reading(provider, reads, forget, paths, folder)
        finally:
            await _each(paths, partial(_removed, provider, store))


def _reading(
    provider: Provider, reads: CachedReads | None, forget: Callable[[], None], paths: list[str], folder: str
) -> dict[str, Operation]:
    """What is timed without writing; of a provider that has nothing, the list of nothing.

    The first is what a value costs that nobody has read, the second what it costs a service that reads it again.
    """
    store, count = provider.store, len(paths)

    def cold(number: int) -> Awaitable[Any]:
        forget()
        return store.get(paths[number % count])

    def cached(number: int) -> Awaitable[Any]:
        path = paths[number % min(count, WARM)]
        return store.get(path) if reads is None else reads.get(path, None, partial(store.get, path))

    found: dict[str, Operation] = {"get cold": cold, "get cached": cached} if paths else {}
    found[LIST] = lambda _: store.list(folder, limit=LISTED)
    return found


def _nothing() -> None:
    """What a provider forgets that holds no data keys."""


async def _removed(provider: Provider, store: WritableSecretStore, path: str) -> None:
    await store.delete(path)
    if Capability.UNDELETE in provider.capabilities:
        recoverable: RecoverableSecretStore = provider.recoverable()
        await recoverable.destroy(path)


async def _each(paths: list[str], call: Callable[[str], Awaitable[object]]) -> None:
    """Do it with each path, some at once."""
    waiting = iter(paths)

    async def some() -> None:
        for path in waiting:
            await call(path)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())
