"""A key that was retired in one process leaves no data key behind in any."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

import contracted
from tradesense.core.cache.ports import Backplane
from tradesense.core.errors import BackplaneUnavailable, SecretStoreUnavailable
from tradesense.core.secrets import KeyStatus
from tradesense.core.secrets.datakeys import DataKeys
from tradesense.core.secrets.envelope import Sealer
from tradesense.core.secrets.retirement import Retirement
from tradesense.core.testing import ManualClock, eventually, opened

LOOK = 0.01


class Ring:
    """Has some keys, or does not answer."""

    def __init__(self):
        self.ids = ["old", "new"]
        self.away = False

    async def keys(self):
        if self.away:
            raise SecretStoreUnavailable("away")
        return tuple(KeyStatus(key_id=one, current=one == "new") for one in self.ids)


class Deaf:
    """A backplane that is away."""

    async def publish(self, topic, payload):  # noqa: ARG002  # as the port says
        raise BackplaneUnavailable("away")

    @asynccontextmanager
    async def subscribe(self, topic):  # noqa: ARG002  # as the port says
        raise BackplaneUnavailable("away")
        yield


@asynccontextmanager
async def process(backplane, ring, *, every=3600.0):
    """One that holds a data key and notices retirements, and what it holds."""
    async with DataKeys(now=ManualClock().monotonic) as held:
        sealer = Sealer(keys=ring, aead=None, random=None, namespace="n", remembered=held)
        retirement = Retirement(sealer=sealer, ring=ring, backplane=backplane, every=every)
        hold(held)
        running = asyncio.create_task(retirement.run())
        try:
            yield retirement, held
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def hold(held):
    held.keep(("a/b", 1), b"head", lambda *_: b"", b"nonce", b"place")


@pytest.fixture
async def backplane():
    async with opened(contracted.build(contracted.manifest("memory", Backplane), contracted.context())) as made:
        yield made


async def test_R51_F11_whoever_is_told_drops_what_it_holds(backplane):
    async with process(backplane, Ring()) as (retirement, here), process(backplane, Ring()) as (_, there):
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        async def dropped():
            """Neither process holds a data key."""
            await retirement.tell()
            return not here and not there

        await eventually(dropped, seconds=5)


async def test_who_shares_no_backplane_sees_it_in_the_ring():
    ring = Ring()
    async with process(Deaf(), ring, every=LOOK) as (_, held):
        await _looked(ring)
        assert held, "nothing was retired yet"
        ring.away = True
        await _looked(ring)
        assert held, "a ring that is away has lost nothing"
        ring.away, ring.ids = False, ["new"]

        async def dropped():
            """It holds no data key."""
            return not held

        await eventually(dropped, seconds=5)
        hold(held)
        await _looked(ring)
        assert held, "what was opened afterwards stays"


async def test_who_retires_holds_nothing_though_nobody_can_be_told():
    async with process(Deaf(), Ring()) as (retirement, held):
        await retirement.tell()
        assert not held


async def _looked(ring):
    """Wait until the ring was looked at twice from now on."""
    seen, keys = asyncio.Semaphore(0), ring.keys

    async def counted():
        seen.release()
        return await keys()

    ring.keys = counted
    for _ in range(2):
        await asyncio.wait_for(seen.acquire(), 5)
    ring.keys = keys
