"""What is timed of the cache room: a shared store by itself, or the hybrid cache over the one that settings choose."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from tradesense.core.cache.options import EntryOptions
from tradesense.core.cache.ports import CacheStore, LockProvider
from tradesense.core.cache.refresh import Refresh
from tradesense.core.capabilities import Capability
from tradesense.core.errors import ConfigurationError
from tradesense.core.telemetry.service import FanOut
from tradesense.entrypoints import parts
from tradesense.entrypoints.adapters import Adapters
from tradesense.entrypoints.bench.timing import Operation
from tradesense.plugins.manager import Plugins
from tradesense.settings.schema import Settings

HYBRID = "hybrid"
"""What `--adapters` calls the cache that services hold; it is composed of adapters and is none by itself."""

MANY = 100
KIBIBYTE = bytes(1024)
LIFETIME = 300.0
SERVER = "redis"
"""The section of the adapters that need a server which an environment may not have."""
PATIENCE = 30.0
CHUNK = 1_000
"""Keys that are removed at once."""


@dataclass(slots=True)
class Counts:
    """What has come of the reads so far."""

    reads: int = 0
    asked: int = 0
    """Those that the process could not answer."""
    made: int = 0
    """Those that the shared store could not answer either."""


class Subject(Protocol):
    """A cache that is measured."""

    counts: Counts

    async def through(self, key: str) -> None:
        """Read the key, and make its value where there is none."""
        ...

    async def forget(self, keys: Sequence[str]) -> None:
        """Leave nothing of these keys behind."""
        ...


async def operations(store: CacheStore) -> dict[str, Operation]:
    """What is timed of a store, over a present kibibyte."""
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


class Plain:
    """A store by itself, read through in the plainest way."""

    def __init__(self, store: CacheStore, *, shared: bool) -> None:
        self.store, self.counts = store, Counts()
        self._shared = shared

    async def through(self, key: str) -> None:
        """See :meth:`Subject.through`."""
        self.counts.reads += 1
        self.counts.asked += self._shared
        if await self.store.get(key) is None:
            self.counts.asked += not self._shared
            self.counts.made += 1
            await self.store.set(key, KIBIBYTE, LIFETIME)

    async def forget(self, keys: Sequence[str]) -> None:
        """See :meth:`Subject.forget`."""
        for start in range(0, len(keys), CHUNK):
            await self.store.delete(*keys[start : start + CHUNK])


class Hybrid:
    """The hybrid cache of one process, as services hold it."""

    def __init__(self, adapters: Adapters, settings: Settings) -> None:
        self.counts = Counts()
        self._far = adapters.choose(CacheStore, settings.cache.provider, "cache.provider")
        locks = adapters.choose(LockProvider, settings.cache.locks, "cache.locks")
        self.cache = parts.hybrid_cache(adapters, settings, locks, FanOut(metrics=[], traces=[]))
        self._named = self.cache.named("bench", bytes, options=EntryOptions(ttl=LIFETIME))

    async def operations(self) -> dict[str, Operation]:
        """As :func:`operations`."""
        named, keys = self._named, [str(number) for number in range(MANY)]
        items = dict.fromkeys(keys, KIBIBYTE)
        await named.set_many(items)
        return {
            "get hit": lambda _: named.get(keys[0]),
            "get miss": lambda _: named.get("absent"),
            "set": lambda number: named.set(keys[number % MANY], KIBIBYTE),
            f"get_many {MANY}": lambda _: named.get_many(keys),
            f"set_many {MANY}": lambda _: named.set_many(items),
        }

    async def through(self, key: str) -> None:
        """See :meth:`Subject.through`."""
        self.counts.reads += 1
        if self._named.quick(self._named.full(key)) is None:
            self.counts.asked += 1
            await self._named.get_or_set(key, self._make)

    async def forget(self, keys: Sequence[str]) -> None:
        """See :meth:`Subject.forget`."""
        full = [self._named.full(key) for key in keys]
        for start in range(0, len(full), CHUNK):
            await self._far.delete(*full[start : start + CHUNK])

    async def _make(self, _: Refresh[bytes]) -> bytes:
        self.counts.made += 1
        return KIBIBYTE


@asynccontextmanager
async def opened(
    name: str, settings: Settings, plugins: Plugins, *, entries: int = 0
) -> AsyncGenerator[Plain | Hybrid]:
    """The cache that ``name`` stands for, open.

    :param entries: what the process may hold, in place of what the settings say.
    :raises ConfigurationError: it needs a server, and the settings name none.
    """
    settings = _patient(_bounded(settings, entries) if entries else settings)
    adapters = Adapters(settings, plugins)
    async with AsyncExitStack() as stack:
        if name != HYBRID:
            store = adapters.choose(CacheStore, name, "--adapters")
            _check_server(name, settings, plugins)
            await adapters.open(stack)
            yield Plain(store, shared=Capability.SHARED in adapters.capabilities(CacheStore, name))
            return
        hybrid = Hybrid(adapters, settings)
        await adapters.open(stack)
        stack.push_async_callback(hybrid.cache.aclose)
        listening = asyncio.create_task(hybrid.cache.run())
        try:
            yield hybrid
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


def fresh_keys(count: int) -> list[str]:
    """Names that no run before this one has used."""
    run = secrets.token_hex(4)
    return [f"bench:{run}:{number}" for number in range(count)]


def described(name: str, settings: Settings) -> str:
    """What stands behind the name in this run."""
    if name != HYBRID:
        return name
    near = f"{settings.cache.near_entries:,} entries in the process"
    return f"{name} ({near}, over {settings.cache.provider}, notices by {settings.cache.backplane})"


def _bounded(settings: Settings, entries: int) -> Settings:
    """With so many entries in the process, which stay there for as long as a run takes."""
    memory: Mapping[str, object] = settings.adapters.get("cache.memory", {})
    return replace(
        settings,
        cache=replace(settings.cache, near_entries=entries, near_ttl=LIFETIME),
        adapters={**settings.adapters, "cache.memory": {**memory, "max_entries": entries}},
    )


def _patient(settings: Settings) -> Settings:
    """With time to wait for a connection: many tasks share a few, and giving up is not what is measured."""
    server = settings.adapters.get(SERVER, {})
    return replace(settings, adapters={**settings.adapters, SERVER: {**server, "timeout": PATIENCE}})


def _check_server(name: str, settings: Settings, plugins: Plugins) -> None:
    """Refuse an adapter that needs a server where the settings name none: the default is nobody's wish."""
    section = plugins.registry.choose(CacheStore, name, key="--adapters").adapter.settings_section
    if section == SERVER and "url" not in settings.adapters.get(section, {}):
        raise ConfigurationError(
            f"the adapter {name!r} is measured against a server, and the settings name none",
            origin="redis.url",
            mend="set REDIS_URL",
        )
