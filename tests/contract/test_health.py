"""The health checks that the adapters register keep the contract, over what is well and over what is away."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

import contracted
import sqldatabases
from tradesense.adapters.system.ambient import SystemClock, SystemRandom, Uuid7Ids
from tradesense.core.cache import CacheStore
from tradesense.core.jobs import JobQueue
from tradesense.core.secrets import SecretStore
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry import HealthCheck
from tradesense.core.testing import HealthCheckContract
from tradesense.core.transactions import Transactions
from tradesense.plugins.manifest import AdapterContext


class Watched:
    """The one check that an adapter registers, open while the adapter and what it shares are."""

    def __init__(self, provider, port, *, name="", breaks=None, **settings):
        self._parts = []
        clock, random = SystemClock(), SystemRandom()
        lent = AdapterContext(clock=clock, random=random, ids=Uuid7Ids(clock, random), opened=self._parts.append)
        self.adapter = contracted.build(contracted.manifest(provider, port, name), lent, **settings)
        self._parts.append(self.adapter)
        (self._check,) = lent.checks
        self.name = self._check.name
        self.essential = self._check.essential
        self._breaks = breaks
        self._stack = AsyncExitStack()

    async def __aenter__(self):
        for part in self._parts:
            if hasattr(part, "__aenter__"):
                await self._stack.enter_async_context(part)
        if self._breaks is not None:
            await self._breaks(self.adapter)
        return self

    async def __aexit__(self, *error):
        await self._stack.aclose()

    async def check(self):
        return await self._check.check()


_: type[HealthCheck] = Watched


class Network:
    """What is watched is across a network: once it is open its port is closed, or nothing that is sent arrives."""

    @pytest.fixture
    def adapter(self, server):
        return lambda: self.watched(server, f"{server.host}:{server.port}")

    @pytest.fixture(params=["closed", "black hole"])
    async def broken(self, request, fault_proxy, server):
        async with fault_proxy(server.host, server.port) as proxy:

            async def breaks(_):
                if request.param == "closed":
                    await proxy.down()
                else:
                    proxy.black_hole = True

            yield lambda: self.watched(server, f"{proxy.host}:{proxy.port}", breaks=breaks)


class TestRedisHealth(Network, HealthCheckContract):
    @pytest.fixture
    def server(self, valkey):
        return valkey

    def watched(self, _, address, **more):
        return Watched("redis", CacheStore, url=Secret(f"redis://{address}/0"), timeout=1.0, **more)


class TestJobsHealth(Network, HealthCheckContract):
    @pytest.fixture
    def server(self, valkey):
        return valkey

    def watched(self, _, address, **more):
        return Watched("taskiq", JobQueue, url=Secret(f"redis://{address}/0"), timeout=1.0, **more)


class TestVaultHealth(Network, HealthCheckContract):
    @pytest.fixture
    def server(self, openbao):
        return openbao

    def watched(self, openbao, address, **more):
        settings = {"token": Secret(openbao.token), "mount": openbao.mount}
        return Watched("vault", SecretStore, name="vault", url=f"http://{address}", **settings, **more)


class TestDatabaseHealthOnPostgresql(Network, HealthCheckContract):
    @pytest.fixture
    def server(self, postgres):
        with sqldatabases.postgresql_database(postgres) as self.url:
            yield postgres

    def watched(self, postgres, address, **more):
        url = self.url.replace(f"{postgres.host}:{postgres.port}", address)
        return Watched("sql", Transactions, url=Secret(url), **more)


class TestDatabaseHealthOnSqlite(HealthCheckContract):
    """The file is taken away, and the connections that were open to it have ended."""

    @pytest.fixture
    def path(self, tmp_path):
        return Path(sqldatabases.sqlite_url(tmp_path).removeprefix("sqlite:///"))

    @pytest.fixture
    def adapter(self, path):
        return lambda: Watched("sql", Transactions, url=Secret(f"sqlite:///{path}"))

    @pytest.fixture
    def broken(self, path):
        async def breaks(adapter):
            path.unlink()
            await adapter._shared._engine.dispose()

        return lambda: Watched("sql", Transactions, url=Secret(f"sqlite:///{path}"), breaks=breaks)
