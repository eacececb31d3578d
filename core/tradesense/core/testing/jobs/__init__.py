"""The contract of the jobs room's port."""

from tradesense.core.testing.jobs.queue import JobQueueContract

__all__ = ("JobQueueContract",)
