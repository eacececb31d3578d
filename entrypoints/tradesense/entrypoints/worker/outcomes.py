"""What is logged of jobs: one line for every attempt, and one when they cannot get on."""

from __future__ import annotations

import structlog

from tradesense.core.errors import TradeSenseError
from tradesense.core.jobs.service import Outcome

log = structlog.stdlib.get_logger("tradesense.worker")


def log_outcome(outcome: Outcome) -> None:
    """Write the line; the correlation id and the trace of the job's cause are added to it as to any other."""
    job = outcome.job
    fields: dict[str, object] = {
        "job": job.name,
        "job_id": job.id,
        "attempt": job.attempt,
        "outcome": outcome.word,
        "duration_ms": round(outcome.seconds * 1000, 3),
    }
    if outcome.error:
        log.warning("job", **fields, error=outcome.error)
    else:
        log.info("job", **fields)


def log_waiting(error: TradeSenseError) -> None:
    """Write why jobs stay in the outbox."""
    log.warning("jobs wait in the outbox", error=error.code, detail=error.line())
