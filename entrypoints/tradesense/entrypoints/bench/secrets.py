"""What is timed of the secrets room."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from tradesense.core.capabilities import Capability
from tradesense.core.secrets.ports import SecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret
from tradesense.entrypoints import parts
from tradesense.entrypoints.adapters import Adapters
from tradesense.entrypoints.bench.cache import KIBIBYTE
from tradesense.entrypoints.bench.timing import Operation
from tradesense.plugins.manager import Plugins
from tradesense.settings.schema import Settings

LISTED = 200


@asynccontextmanager
async def opened(name: str, settings: Settings, plugins: Plugins) -> AsyncGenerator[dict[str, Operation]]:
    """The operations of the provider that ``name`` stands for, while it is open."""
    adapters = Adapters(settings, plugins)
    async with AsyncExitStack() as stack:
        adapters.context.chain = parts.audit_chain(adapters, settings)
        adapters.context.sealer = lambda: parts.sealer(adapters, settings)
        store = adapters.choose(SecretStore, name, "--adapters")
        await adapters.open(stack)
        yield await operations(store, adapters.capabilities(SecretStore, name))


async def operations(store: SecretStore, capabilities: frozenset[Capability]) -> dict[str, Operation]:
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
