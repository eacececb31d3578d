"""Feature flags: definitions, and a pure engine that evaluates them."""

from tradesense.core.flags.models import (
    Condition,
    ErrorCode,
    Evaluation,
    Exposure,
    Flag,
    Reason,
    Rule,
    Share,
    StoredFlag,
)
from tradesense.core.flags.ports import ExposureSink, FlagStore

__all__ = (
    "Condition",
    "ErrorCode",
    "Evaluation",
    "Exposure",
    "ExposureSink",
    "Flag",
    "FlagStore",
    "Reason",
    "Rule",
    "Share",
    "StoredFlag",
)
