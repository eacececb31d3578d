"""Secrets adapters side by side: `make bench` prints one table."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack

import pytest

from tradesense.core.secrets.ports import SecretStore
from tradesense.core.sensitive import Secret
from tradesense.entrypoints import parts
from tradesense.entrypoints.adapters import Adapters
from tradesense.entrypoints.bench.secrets import operations
from tradesense.entrypoints.database import upgrade_database
from tradesense.plugins.manager import load as load_plugins
from tradesense.settings.load import load as load_settings

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(params=["memory", "sql", "vault"])
def store(request, openbao, tmp_path):
    """An open provider with what it declares, and the loop that it lives in."""
    plugins = load_plugins()
    env = {
        "ENVIRONMENT": "testing",
        "DATABASE_URL": f"sqlite:///{tmp_path}/bench.db",
        "TRADESENSE_AUDIT__PROVIDER": "sql",
        "TRADESENSE_SECRETS__LOCAL__ROOT_KEY": KEY,
        "TRADESENSE_SECRETS__VAULT__URL": openbao.address,
        "TRADESENSE_SECRETS__VAULT__TOKEN": openbao.token,
        "TRADESENSE_SECRETS__VAULT__MOUNT": openbao.mount,
    }
    settings = load_settings(env, directory=tmp_path, plugins=plugins).settings
    loop = asyncio.new_event_loop()
    loop.run_until_complete(upgrade_database(settings))
    adapters, stack = Adapters(settings, plugins), AsyncExitStack()
    adapters.context.chain = parts.audit_chain(adapters, settings)
    adapters.context.sealer = lambda: parts.sealer(adapters, settings)
    chosen = adapters.choose(SecretStore, request.param, "benchmark")
    loop.run_until_complete(adapters.open(stack))
    yield loop, chosen, adapters.capabilities(SecretStore, request.param)
    loop.run_until_complete(stack.aclose())
    loop.close()


@pytest.mark.parametrize("name", ["get", "put", "list 200"])
def test_secrets(benchmark, store, name):
    loop, chosen, capabilities = store
    benchmark.group = f"secrets: {name}"
    operation = loop.run_until_complete(operations(chosen, capabilities))[name]
    benchmark(lambda: loop.run_until_complete(operation(1)))


def test_secret_is_made_quickly(benchmark):
    benchmark.group = "secrets: the type"
    benchmark(lambda: Secret("value").reveal())
