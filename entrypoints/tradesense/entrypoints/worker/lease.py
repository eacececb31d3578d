"""Keeping a lease for as long as the work that it protects lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from tradesense.core.cache.models import Lease
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import LocksUnavailable

T = TypeVar("T")

PARTS = 3
"""The lease is renewed when this part of its time has gone, so that one renewal may fail."""


async def held(locks: LockProvider, lease: Lease, work: Awaitable[T]) -> T:
    """Await ``work``, renewing ``lease`` meanwhile. Work that is over before a first renewal is due renews nothing.

    :raises LocksUnavailable: the lease was lost; the work was cancelled, as another process may have begun it.
    """
    running = asyncio.ensure_future(work)
    try:
        await _renewed(locks, lease, running)
        return await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _renewed(locks: LockProvider, lease: Lease, running: asyncio.Future[Any]) -> None:
    """Return when the work is done."""
    now = asyncio.get_running_loop().time
    until = now() + lease.ttl
    while not (await asyncio.wait([running], timeout=lease.ttl / PARTS))[0]:
        try:
            ours = await asyncio.wait_for(locks.renew(lease), lease.ttl / PARTS)
        except (LocksUnavailable, TimeoutError):
            ours = now() + lease.ttl / PARTS < until
        else:
            until = now() + lease.ttl
        if not ours:
            raise LocksUnavailable(f"the lease {lease.name!r} was lost while it was needed")
