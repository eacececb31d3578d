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
    StoredSegment,
)
from tradesense.core.flags.ports import (
    BucketHash,
    ExposureSink,
    FlagStore,
    Patterns,
    SegmentStore,
    WritableFlagStore,
    WritableSegmentStore,
)

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
    "SegmentStore",
    "Share",
    "StoredFlag",
    "StoredSegment",
    "WritableFlagStore",
    "WritableSegmentStore",
)
