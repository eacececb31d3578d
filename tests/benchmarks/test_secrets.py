"""Secrets adapters side by side: `make bench` prints one table."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack

import pytest

from tradesense.core.sensitive import Secret
from tradesense.entrypoints.bench import secrets
from tradesense.entrypoints.database import upgrade_database
from tradesense.plugins.manager import load as load_plugins
from tradesense.settings.load import load as load_settings

KEY = base64.b64encode(bytes(range(32))).decode()
IN_ENVIRONMENT = 50


@pytest.fixture(scope="module", params=["memory", "env", "sql", "vault"])
def opened(request, openbao_server, tmp_path_factory):
    """The loop that a provider lives in, and what is timed of it."""
    openbao = openbao_server.fresh_mount("kv-bench")
    folder, plugins = tmp_path_factory.mktemp("secrets"), load_plugins()
    env = {
        "ENVIRONMENT": "testing",
        "DATABASE_URL": f"sqlite:///{folder}/bench.db",
        "TRADESENSE_AUDIT__PROVIDER": "sql",
        "TRADESENSE_SECRETS__LOCAL__ROOT_KEY": KEY,
        "TRADESENSE_SECRETS__VAULT__URL": openbao.address,
        "TRADESENSE_SECRETS__VAULT__TOKEN": openbao.token,
        "TRADESENSE_SECRETS__VAULT__MOUNT": openbao.mount,
    }
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        for number in range(IN_ENVIRONMENT):
            patch.setenv(f"TRADESENSE_SECRET_BENCH__{number}", "value")
        settings = load_settings(env, directory=folder, plugins=plugins).settings
        runner.run(upgrade_database(settings))
        stack = AsyncExitStack()
        listed = 20 if request.config.option.benchmark_disable else secrets.LISTED  # who does not measure need not wait
        of_provider = secrets.opened(request.param, settings, plugins, listed=listed)
        yield runner, runner.run(stack.enter_async_context(of_provider))
        runner.run(stack.aclose())
    openbao.request("DELETE", f"sys/mounts/{openbao.mount}")


@pytest.mark.parametrize("name", ["get cold", "get cached", "put", secrets.LIST])
def test_secrets(benchmark, opened, name):
    runner, operations = opened
    if name not in operations:
        pytest.skip("the provider cannot be written")
    benchmark.group = f"secrets: {name}"
    benchmark(lambda: runner.run(operations[name](1)))


def test_secret_is_made_quickly(benchmark):
    benchmark.group = "secrets: the type"
    benchmark(lambda: Secret("value").reveal())
