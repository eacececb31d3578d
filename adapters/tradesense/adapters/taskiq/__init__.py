"""The job queue on Redis streams, worked by taskiq: jobs outlive processes, and any worker may do them."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.taskiq.settings import TaskiqSettings
from tradesense.core.capabilities import Capability
from tradesense.core.jobs.ports import JobQueue
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The job queue."""
    return (
        Adapter(
            port=JobQueue,
            name="taskiq",
            factory="tradesense.adapters.taskiq.jobs:queue",
            summary="Jobs on Redis streams, done by taskiq",
            settings=TaskiqSettings,
            section="redis",
            capabilities=frozenset({Capability.DEDUPLICATION, Capability.PERSISTENT, Capability.SHARED}),
            requires=(
                Requirement("taskiq_redis", "taskiq-redis", "redis"),
                Requirement("taskiq", "taskiq", "server"),
                Requirement("redis", "redis", "redis"),
            ),
        ),
    )
