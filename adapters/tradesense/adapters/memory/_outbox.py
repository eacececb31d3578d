"""An outbox within one process."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState, SortedTable, Table
from tradesense.core.ambient import Clock
from tradesense.core.errors import DatabaseUnavailable, JobQueueUnavailable
from tradesense.core.jobs.models import Job, digest, encode_bounded
from tradesense.core.jobs.ports import Outbox


class _Row(msgspec.Struct, frozen=True):
    """A job, encoded so that nobody changes it through what was given out."""

    job: bytes
    id: str
    key: bytes


class _Rows:
    def __init__(self, state: MemoryState) -> None:
        self.last = 0
        self.jobs: SortedTable[int, _Row] = SortedTable(state)
        self.numbers: Table[str, int] = Table(state)
        """Where a job stands, by its id."""
        self.keys: Table[bytes, float] = Table(state)
        """When a key was added."""
        self.held: dict[int, float] = {}
        """Until when a job is held. It belongs to relays, and to no transaction."""


class MemoryOutbox(Lifecycle):
    """Jobs that end with the process. See :class:`Outbox`."""

    def __init__(self, state: MemoryState, *, clock: Clock) -> None:
        super().__init__()
        self.state = state
        self._rows = state.part(_Rows)
        self._clock = clock

    async def add(self, job: Job) -> bool:
        """See :meth:`Outbox.add`."""
        self.check_open()
        key = digest(job.name, job.key) if job.key else b""
        row = _Row(encode_bounded(job), job.id, key)
        try:
            async with self.state.begin():
                if key and self._rows.keys.get(key) is not None:
                    return False
                if self._rows.numbers.get(job.id) is not None:
                    return False
                self._rows.last += 1
                self._rows.jobs.put(self._rows.last, row)
                self._rows.numbers.put(job.id, self._rows.last)
                if key:
                    self._rows.keys.put(key, self._clock.monotonic())
        except DatabaseUnavailable as error:
            raise JobQueueUnavailable(error.detail, origin=error.origin, mend=error.mend) from error
        return True

    async def take(self, limit: int, hold: float) -> Sequence[Job]:
        """See :meth:`Outbox.take`."""
        self.check_open()
        now = self._clock.monotonic()
        taken: list[Job] = []
        for number in sorted(self._rows.jobs.keys()):
            row = self._rows.jobs.committed(number)
            if len(taken) == limit:
                break
            if row is not None and self._rows.held.get(number, now) <= now:
                self._rows.held[number] = now + hold
                taken.append(msgspec.json.decode(row.job, type=Job))
        return taken

    async def done(self, ids: Sequence[str], *, free: bool = False) -> None:
        """See :meth:`Outbox.done`."""
        self.check_open()
        async with self.state.begin():
            for id_ in ids:
                number = self._rows.numbers.get(id_)
                if number is not None:
                    row = self._rows.jobs.get(number)
                    if free and row is not None and row.key:
                        self._rows.keys.remove(row.key)
                    self._rows.jobs.remove(number)
                    self._rows.numbers.remove(id_)
                    self._rows.held.pop(number, None)

    async def give_back(self, ids: Sequence[str], *, after: float = 0) -> None:
        """See :meth:`Outbox.give_back`."""
        self.check_open()
        until = self._clock.monotonic() + after
        for id_ in ids:
            number = self._rows.numbers.get(id_)
            if number is not None:
                self._rows.held[number] = until

    async def waiting(self) -> int:
        """See :meth:`Outbox.waiting`."""
        self.check_open()
        return len(self._rows.jobs.keys())

    async def forget(self, age: float) -> int:
        """See :meth:`Outbox.forget`."""
        self.check_open()
        until = self._clock.monotonic() - age
        async with self.state.begin():
            needed = {row.key for _, row in self._rows.jobs.scan(0)}
            old = [
                key
                for key in self._rows.keys.keys()  # noqa: SIM118  # a table, which has no iterator of its own
                if key not in needed and (self._rows.keys.get(key) or 0.0) <= until
            ]
            for key in old:
                self._rows.keys.remove(key)
        return len(old)


_: type[Outbox] = MemoryOutbox
