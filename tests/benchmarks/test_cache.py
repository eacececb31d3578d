"""Cache adapters side by side: `make bench` prints one table."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

import pytest

from tradesense.core.cache.ports import CacheStore
from tradesense.entrypoints.adapters import Adapters
from tradesense.entrypoints.bench.cache import operations
from tradesense.plugins.manager import load as load_plugins
from tradesense.settings.load import load as load_settings

OPERATIONS = ("get hit", "get miss", "set", "get_many 100", "set_many 100")


@pytest.fixture(params=["memory", "redis"])
def cache(request, valkey_url, tmp_path):
    """An open cache, and the loop that it lives in."""
    plugins = load_plugins()
    env = {"ENVIRONMENT": "testing", "REDIS_URL": valkey_url, "PATH": os.environ["PATH"]}
    settings = load_settings(env, directory=tmp_path, plugins=plugins).settings
    loop = asyncio.new_event_loop()
    adapters, stack = Adapters(settings, plugins), AsyncExitStack()
    store = adapters.choose(CacheStore, request.param, "benchmark")
    loop.run_until_complete(adapters.open(stack))
    yield loop, store
    loop.run_until_complete(stack.aclose())
    loop.close()


@pytest.mark.parametrize("name", OPERATIONS)
def test_cache(benchmark, cache, name):
    loop, store = cache
    benchmark.group = f"cache: {name}"
    operation = loop.run_until_complete(operations(store))[name]
    benchmark(lambda: loop.run_until_complete(operation(1)))
