from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tradesense.adapters.system.ambient import SystemClock, SystemRandom, Uuid7Ids
from tradesense.adapters.taskiq.jobs import TaskiqJobs
from tradesense.adapters.taskiq.settings import TaskiqSettings
from tradesense.core.sensitive import Secret


@pytest.fixture
def new(valkey_url: str, unique_prefix: str) -> Callable[..., TaskiqJobs]:
    """An unopened queue, as another process would have it."""

    def make(url: str = valkey_url, **settings: Any) -> TaskiqJobs:
        given = {"prefix": f"{unique_prefix}:", "timeout": 2.0, "job_retry_seconds": 0.01, "job_grace_seconds": 5.0}
        clock = SystemClock()
        return TaskiqJobs(
            TaskiqSettings(url=Secret(url), **(given | settings)), clock=clock, ids=Uuid7Ids(clock, SystemRandom())
        )

    return make
