"""The worker: queued jobs and periodic ones, in a process of their own or inside a single server."""

from tradesense.entrypoints.worker.jobs import run
from tradesense.entrypoints.worker.periodic import periodic

__all__ = ("periodic", "run")
