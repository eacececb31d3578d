"""The primitives that processes coordinate by, made of one provider of leases."""

from __future__ import annotations

from tradesense.core.ambient import Random
from tradesense.core.cache.election import Election
from tradesense.core.cache.leases import Held, LeaseKeeper
from tradesense.core.cache.ports import Fences, LockProvider
from tradesense.core.cache.semaphore import Semaphore


class Coordination:
    """Leases, semaphores and elections over all processes that share a provider of leases.

    Names are one space: a semaphore ``x`` holds the leases ``x#0``, ``x#1``…, an election ``x`` the lease ``x``.
    """

    def __init__(self, *, locks: LockProvider, fences: Fences, random: Random) -> None:
        self._locks = locks
        self._fences = fences
        self._random = random
        self.leases = LeaseKeeper(locks)
        """Work that one process at a time may do."""

    def semaphore(self, name: str, *, permits: int, ttl: float) -> Semaphore:
        """At most ``permits`` at a time.

        :param ttl: seconds after which the permit of a holder that died is given back.
        :raises ValueError: ``permits`` is below 1.
        """
        return Semaphore(locks=self._locks, random=self._random, name=name, permits=permits, ttl=ttl)

    def election(self, name: str, *, ttl: float) -> Election:
        """One leader among the processes that stand for ``name``.

        :param ttl: seconds after which a leader that died is replaced.
        """
        return Election(locks=self._locks, name=name, ttl=ttl)

    async def guard(self, held: Held) -> None:
        """Let this task's transaction happen only while nobody has written as a later holder: :meth:`Fences.guard`.

        :raises LeaseLost: the lease is known to be lost, or a later holder has written.
        :raises DatabaseUnavailable: no transaction of this task is open, or the fence cannot be read.
        """
        held.check()
        await self._fences.guard(held.lease)
