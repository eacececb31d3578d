"""Feature flags: definitions, and a pure engine that evaluates them."""

from tradesense.core.flags.models import (
    Condition,
    Conversion,
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
    ExperimentStore,
    FlagStore,
    Patterns,
    SegmentStore,
    WritableFlagStore,
    WritableSegmentStore,
)

__all__ = (
    "BucketHash",
    "Condition",
    "Conversion",
    "ErrorCode",
    "Evaluation",
    "ExperimentStore",
    "Exposure",
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
