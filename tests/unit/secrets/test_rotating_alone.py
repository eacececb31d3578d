"""One rotation of a secret runs at a time, and one that is no longer alone is stopped before it writes."""

from __future__ import annotations

import asyncio

import pytest

from rotationkit import DAY, PATH, Service, opened
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.audit.models import WORKER
from tradesense.core.errors import AdapterClosed, LeaseLost, LeaseTaken
from tradesense.core.sensitive import Secret


class Holding(Service):
    """Keeps a process waiting in one of its steps, until it is let go."""

    def __init__(self, service, step):
        super().__init__("first")
        self.service, self.held = service, step
        self.there, self.go = asyncio.Event(), asyncio.Event()

    async def _wait(self, step):
        if step == self.held:
            self.there.set()
            await self.go.wait()

    async def create(self, current, options):
        await self._wait("create")
        return await self.service.create(current, options)

    async def set(self, current, pending, options):
        await self._wait("set")
        await self.service.set(current, pending, options)

    async def test(self, pending, options):
        await self._wait("test")
        await self.service.test(pending, options)


@pytest.mark.parametrize("step", ["create", "set", "test"])
async def test_a_second_rotation_of_a_secret_is_refused_while_one_runs(made, step):
    slow = Holding(made.service, step)
    first = await opened(made.store, made.clock, slow)
    await made.store.put(PATH, Secret("first"))
    made.clock.advance(DAY)
    running = asyncio.create_task(first.rotation.run())
    async with asyncio.timeout(10):
        await slow.there.wait()
    with pytest.raises(LeaseTaken) as refused:
        await made.rotation.rotate(PATH, actor=WORKER)
    assert PATH in refused.value.detail
    assert refused.value.mend
    assert await made.rotation.run() == 0
    assert made.trail.events == []
    slow.go.set()
    assert await running == 1
    assert made.service.made == 1
    assert (await made.store.get(PATH)).value.reveal() in made.service.accepted
    assert await made.rotation.rotate(PATH, actor=WORKER) == 3, "the lease was given back"


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("step", ["create", "test"])
async def test_a_process_that_lost_its_lease_unawares_is_stopped_before_it_writes(made, step, joined):
    slow = Holding(made.service, step)
    stale = await opened(made.store, made.clock, slow, locks=MemoryState(), joined=joined)
    await made.store.put(PATH, Secret("first"))
    running = asyncio.create_task(stale.rotation.rotate(PATH, actor=WORKER))
    async with asyncio.timeout(10):
        await slow.there.wait()
    made.clock.advance(1)
    for _ in range(2):
        await made.rotation.rotate(PATH, actor=WORKER)
    before = await made.store.get(PATH)
    slow.go.set()
    with pytest.raises(LeaseLost):
        await running
    assert await made.store.get(PATH) == before
    assert await made.store.pending(PATH) is None
    assert before.value.reveal() in made.service.accepted


class Meanwhile:
    """A store at which another rotates while it is asked whether a version is pending."""

    def __init__(self, store, other):
        self._store, self._other = store, other

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def pending(self, path):
        found = await self._store.pending(path)
        if self._other is not None:
            other, self._other = self._other, None
            await other.rotate(path, actor=WORKER)
        return found


async def test_what_another_has_rotated_meanwhile_is_not_rotated_again(made):
    late = await opened(Meanwhile(made.store, made.rotation), made.clock, made.service)
    await made.store.put(PATH, Secret("first"))
    made.clock.advance(DAY)
    assert await late.rotation.run() == 0
    assert made.service.made == 1
    assert late.trail.events == []


async def test_nothing_is_rotated_while_nobody_knows_who_holds_the_lease(made):
    await made.store.put(PATH, Secret("first"))
    await made.rotation._coordination._locks.__aexit__(None, None, None)
    with pytest.raises(AdapterClosed):
        await made.rotation.rotate(PATH, actor=WORKER)
    assert (made.service.made, await made.store.pending(PATH)) == (0, None)


async def test_a_path_of_any_length_has_a_lease(made):
    path = "a" * 512
    made = await opened(made.store, made.clock, rotators={path: Service("first")})
    await made.store.put(path, Secret("first"))
    assert await made.rotation.rotate(path, actor=WORKER) == 2
