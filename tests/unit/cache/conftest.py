"""A world of processes, the first two of which are at hand."""

from __future__ import annotations

import pytest

from cachekit import a_world


@pytest.fixture
async def world():
    async with a_world() as world:
        yield world


@pytest.fixture
async def processes(world):
    one, two = world.process(), world.process()
    yield one, two
    await one.aclose()
    await two.aclose()


@pytest.fixture
def hybrid(processes):
    return processes[0]


@pytest.fixture
def cache(hybrid):
    return hybrid.named("n", bytes)


@pytest.fixture
def other(processes):
    """The same named cache in the other process."""
    return processes[1].named("n", bytes)
