"""The contract of ``LockProvider``."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from msgspec.structs import replace

from tradesense.core.cache.models import Lease
from tradesense.core.cache.ports import LockProvider
from tradesense.core.capabilities import Capability
from tradesense.core.errors import LocksUnavailable
from tradesense.core.testing.base import Contract, Make, eventually, fresh, opened, requires, together
from tradesense.core.testing.checks import (
    TURNS,
    Advance,
    Calls,
    interrupt,
    refuse_when_closed,
    refuse_when_unreachable,
    started,
)

LONG = 60.0
SHORT = 0.5
CLOCKS = 3600.0
"""Seconds by which the provider's clock may be behind this one."""
LEASE = Lease(name="a", owner="0123456789abcdef", token=1, ttl=LONG)
CALLS: Calls = {
    "acquire": lambda locks: locks.acquire("a", LONG),
    "renew": lambda locks: locks.renew(LEASE),
    "release": lambda locks: locks.release(LEASE),
}


class LockProviderContract(Contract):
    """What every :class:`LockProvider` must do."""

    port = LockProvider

    @pytest.fixture
    def advance(self) -> Advance | None:
        """Override this when the adapter takes a Clock: let seconds pass. Otherwise they really pass."""
        return None

    @pytest.fixture
    def unreachable(self) -> Make[LockProvider] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_of_many_at_once_one_gets_the_lease(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            name = fresh()
            leases = await together(32, lambda _: locks.acquire(name, LONG))
            held = [lease for lease in leases if lease is not None]
            assert len(held) == 1
            assert isinstance(held[0], Lease)
            assert (held[0].name, held[0].ttl) == (name, LONG)
            assert await locks.acquire(name, LONG) is None

    async def test_many_who_wait_hold_it_one_after_the_other(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            name, tokens, inside = fresh(), list[int](), list[int]()

            async def work(number: int) -> None:
                lease = await locks.acquire(name, LONG, wait=30)
                assert lease is not None, "32 holders of an instant did not get their turn in 30 s"
                inside.append(number)
                tokens.append(lease.token)
                await asyncio.sleep(0)
                assert inside == [number], "two held the lease at once"
                inside.remove(number)
                assert await locks.release(lease) is True

            assert await together(32, work, seconds=60) == [None] * 32
            assert tokens == sorted(set(tokens)), "the fencing tokens did not grow"

    async def test_fencing_tokens_grow_with_every_acquisition(
        self, adapter: Make[LockProvider], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as locks:
            name, tokens = fresh(), list[int]()
            for _ in range(5):
                lease = await self._get(locks, name)
                tokens.append(lease.token)
                await locks.release(lease)
            lost = await self._get(locks, name, SHORT)
            tokens.append(lost.token)
            tokens.append((await self._after_expiry(locks, lost, advance)).token)
            assert tokens == sorted(set(tokens))
            assert tokens[0] >= 1

    async def test_tokens_go_on_from_those_of_any_provider_before(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            tokens = [(await self._get(locks, fresh())).token for _ in range(2)]
            assert all(token >= (time.time() - CLOCKS) * 1_000_000 for token in tokens), (
                "a fence takes it for an old one"
            )
            assert max(tokens) < 2**53, "a token is a whole number in JSON as well"

    async def test_what_cannot_be_held_is_refused_and_nobody_else_is(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            bad = [(fresh() + "\ud800", LONG), ("", LONG), ("x" * 513, LONG)]
            bad += [(fresh(), ttl) for ttl in (0.0, -5.0, float("nan"), float("inf"), 1e17)]
            good = [(fresh(), LONG) for _ in bad]
            asked = [one for pair in zip(good, bad, strict=True) for one in pair]
            found = await together(len(asked), lambda number: locks.acquire(*asked[number]))
            assert [type(one) for one in found] == [Lease, ValueError] * len(bad)
            for name, _ in bad[3:]:
                assert await locks.acquire(name, LONG) is not None, "what was refused is held"

    async def test_leases_of_other_names_are_others(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            base = fresh()
            leases = [await self._get(locks, f"{base}{end}") for end in ("", "x", " ", ":", "A", "a", "漢字")]
            for lease in leases:
                assert await locks.release(lease) is True

    async def test_owners_cannot_be_guessed(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            owners = {(await self._get(locks, fresh())).owner for _ in range(20)}
            assert len(owners) == 20
            assert all(len(owner) >= 16 for owner in owners)
            assert len({owner[:8] for owner in owners}) == 20, "one tells the beginning of the next"

    async def test_only_the_owner_releases_and_renews(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            name = fresh()
            lease = await self._get(locks, name)
            for stranger in (replace(lease, owner="0" * len(lease.owner)), replace(lease, owner="")):
                assert await locks.release(stranger) is False
                assert await locks.renew(stranger) is False
            assert await locks.acquire(name, LONG) is None, "a stranger released the lease"
            assert await locks.renew(lease) is True
            assert await locks.release(lease) is True

    async def test_a_released_lease_is_no_longer_ours(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            lease = await self._get(locks, fresh())
            assert await locks.release(lease) is True
            assert await locks.release(lease) is False
            assert await locks.renew(lease) is False
            assert await locks.acquire(lease.name, LONG) is not None

    async def test_a_lease_expires(self, adapter: Make[LockProvider], advance: Advance | None) -> None:
        async with opened(adapter()) as locks:
            began = time.monotonic()
            lease = await self._get(locks, fresh(), SHORT)
            assert await locks.acquire(lease.name, LONG) is None
            await self._after_expiry(locks, lease, advance)
            assert advance or time.monotonic() - began >= SHORT - 0.01, "the lease ended before its time"

    async def test_a_lost_lease_is_neither_renewed_nor_released(
        self, adapter: Make[LockProvider], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as locks:
            untaken = await self._get(locks, fresh(), SHORT)
            lost = await self._get(locks, fresh(), SHORT)
            successor = await self._after_expiry(locks, lost, advance)
            for lease in (lost, untaken):
                assert await locks.renew(lease) is False
                assert await locks.release(lease) is False
            assert await locks.acquire(lost.name, LONG) is None, "the successor's lease was touched"
            assert await locks.renew(successor) is True

    async def test_a_renewed_lease_lasts_on(self, adapter: Make[LockProvider], advance: Advance | None) -> None:
        async with opened(adapter()) as locks:
            kept, let_go = await self._get(locks, fresh(), SHORT), await self._get(locks, fresh(), SHORT)
            if advance is not None:
                for _ in range(3):
                    advance(SHORT * 0.75)
                    assert await locks.renew(kept) is True
            else:

                async def expired_beside_it() -> bool:
                    assert await locks.renew(kept) is True
                    return await locks.acquire(let_go.name, LONG) is not None

                await eventually(expired_beside_it, seconds=self.patience)
            assert await locks.acquire(kept.name, LONG) is None
            await self._after_expiry(locks, kept, advance)

    async def test_one_who_waits_gets_it_when_it_is_released(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            first = await self._get(locks, fresh())
            async with started(locks.acquire(first.name, LONG, wait=self.patience)) as waiter:
                for _ in range(20):
                    await asyncio.sleep(0)
                assert not waiter.done()
                assert await locks.release(first) is True
                second = await waiter
            assert second is not None
            assert second.token > first.token
            assert await locks.acquire(first.name, LONG) is None

    async def test_one_who_waits_gets_it_when_it_expires(
        self, adapter: Make[LockProvider], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as locks:
            # With a Clock the lease ends when it is told to; the adapter's alarm may go by the real time even so.
            first = await self._get(locks, fresh(), SHORT if advance is None else SHORT / 10)
            async with started(locks.acquire(first.name, LONG, wait=self.patience)) as waiter:
                await asyncio.sleep(0)
                if advance is not None:
                    advance(first.ttl)
                second = await waiter
            assert second is not None
            assert second.token > first.token

    async def test_a_wait_ends_with_nothing(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            first = await self._get(locks, fresh())
            began = time.monotonic()
            async with asyncio.timeout(self.patience):
                assert await locks.acquire(first.name, LONG, wait=0.1) is None
            assert time.monotonic() - began >= 0.09
            assert await locks.renew(first) is True

    async def test_a_cancelled_wait_leaves_nothing(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            name = fresh()
            for turns in TURNS:
                held = await self._get(locks, name)
                async with started(locks.acquire(name, LONG, wait=self.patience)) as waiter:
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    waiter.cancel()
                    assert await locks.release(held) is True
                    await asyncio.wait([waiter])
                    assert waiter.cancelled()

    async def test_a_wait_cancelled_at_the_hand_over_leaves_nothing(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            name = fresh()
            for turns in TURNS:
                held = await self._get(locks, name)
                async with started(locks.acquire(name, LONG, wait=self.patience)) as waiter:
                    await asyncio.sleep(0)
                    assert await locks.release(held) is True
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    waiter.cancel()
                    await asyncio.wait([waiter])
                if not waiter.cancelled() and (lease := waiter.result()) is not None:
                    assert await locks.release(lease) is True

    async def test_a_cancelled_call_leaves_it_usable(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as locks:
            lease = await self._get(locks, fresh())
            await interrupt(lambda: locks.renew(lease))
            await interrupt(lambda: locks.acquire(lease.name, LONG))
            found = await together(20, lambda _: locks.acquire(fresh(), LONG), seconds=self.patience)
            assert all(isinstance(one, Lease) for one in found)
            assert await locks.release(lease) is True

    async def test_a_closed_provider_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_provider_is_unavailable_and_gives_no_lease(
        self, unreachable: Make[Any] | None
    ) -> None:
        await refuse_when_unreachable(unreachable, LocksUnavailable, CALLS)

    @requires(Capability.SHARED)
    async def test_two_adapters_share_their_leases(self, adapter: Make[LockProvider]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            name = fresh()
            first = await self._get(one, name)
            assert await two.acquire(name, LONG) is None
            async with started(two.acquire(name, LONG, wait=self.patience)) as waiter:
                await asyncio.sleep(0)
                assert await one.release(first) is True
                second = await waiter
            assert second is not None
            assert second.token > first.token
            assert await one.release(first) is False
            assert await one.acquire(name, LONG) is None

    @requires(Capability.PERSISTENT)
    async def test_fencing_tokens_go_on_growing_in_the_next_adapter(self, adapter: Make[LockProvider]) -> None:
        name = fresh()
        async with opened(adapter()) as locks:
            first = await self._get(locks, name)
            await locks.release(first)
        async with opened(adapter()) as locks:
            assert (await self._get(locks, name)).token > first.token

    async def _get(self, locks: LockProvider, name: str, ttl: float = LONG) -> Lease:
        """The lease of a name that nobody holds."""
        lease = await locks.acquire(name, ttl)
        assert lease is not None, "nobody holds the lease, and it was refused"
        return lease

    async def _after_expiry(self, locks: LockProvider, lease: Lease, advance: Advance | None) -> Lease:
        """Let the lease expire and take it; before that, nobody may."""
        if advance is not None:
            advance(lease.ttl * 0.9)
            assert await locks.acquire(lease.name, LONG) is None, "the lease ended before its time"
            advance(lease.ttl * 0.1 + 0.001)
            return await self._get(locks, lease.name)
        successor = await eventually(lambda: locks.acquire(lease.name, LONG), seconds=lease.ttl + self.patience)
        assert successor is not None
        return successor
