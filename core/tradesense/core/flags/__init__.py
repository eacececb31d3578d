"""Feature flags: definitions, and a pure engine that evaluates them."""

from tradesense.core.flags.models import (
    Condition,
    ErrorCode,
    Evaluation,
    Exposure,
    Flag,
    Reason,
    Rule,
    Schedule,
    Segment,
    Share,
    StoredFlag,
)
from tradesense.core.flags.ports import BucketHash, ExposureSink, FlagStore, Patterns

__all__ = (
    "BucketHash",
    "Condition",
    "ErrorCode",
    "Evaluation",
    "Exposure",
    "ExposureSink",
    "Flag",
    "FlagStore",
    "Patterns",
    "Reason",
    "Rule",
    "Schedule",
    "Segment",
    "Share",
    "StoredFlag",
)
