"""Jobs and a handler to test with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tradesense.core.jobs.models import Job
from tradesense.core.jobs.ports import JobQueue
from tradesense.core.testing.base import fresh
from tradesense.core.testing.checks import Calls

REFUSED_WITHIN = 5.0
"""Seconds after which a closed queue that goes to work has not refused."""


def a_job(**fields: Any) -> Job:
    """A job unlike any other."""
    defaults: dict[str, Any] = {"id": fresh("job"), "name": "contract.work"}
    return Job(**(defaults | fields))


async def _refused_work(queue: JobQueue) -> None:
    async with asyncio.timeout(REFUSED_WITHIN):
        await queue.work(Hands())


CALLS: Calls = {
    "enqueue": lambda queue: queue.enqueue(a_job()),
    "work": _refused_work,
    "depth": lambda queue: queue.depth(),
    "dead": lambda queue: queue.dead(),
    "drop": lambda queue: queue.drop(["none"]),
}


class Hands:
    """A handler that remembers what it was given, and fails as often as it is told to."""

    def __init__(self, fail: Callable[[Job], bool] = lambda _: False) -> None:
        self.given: list[Job] = []
        self._fail = fail

    async def __call__(self, job: Job) -> None:
        """Do the job, or fail at it."""
        self.given.append(job)
        if self._fail(job):
            raise ZeroDivisionError("the reason, which must not be kept")

    def times(self, job: Job) -> int:
        """How often the job was given."""
        return sum(given.id == job.id for given in self.given)
