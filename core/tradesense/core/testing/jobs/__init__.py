"""The contracts of the jobs room's ports."""

from tradesense.core.testing.jobs.outbox import OutboxContract
from tradesense.core.testing.jobs.queue import JobQueueContract

__all__ = ("JobQueueContract", "OutboxContract")
