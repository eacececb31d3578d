"""Jobs: work done later, at least once."""

from tradesense.core.jobs.models import DeadJob, Job
from tradesense.core.jobs.ports import JobHandler, JobQueue, Outbox

__all__ = ("DeadJob", "Job", "JobHandler", "JobQueue", "Outbox")
