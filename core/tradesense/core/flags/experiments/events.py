"""Exposures as events, by OpenTelemetry's names (semantic conventions, ``feature_flag.evaluation``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tradesense.core.flags.models import Exposure

EVENT = "feature_flag.evaluation"
PROVIDER = "tradesense"


class EvaluationEvent(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody was shown a variant."""

    time: datetime
    key: str = msgspec.field(name="feature_flag.key")
    variant: str = msgspec.field(name="feature_flag.result.variant")
    context_id: str = msgspec.field(name="feature_flag.context.id")
    reason: str = msgspec.field(name="feature_flag.result.reason", default="split")
    provider: str = msgspec.field(name="feature_flag.provider.name", default=PROVIDER)


def payload(exposures: Iterable[Exposure]) -> dict[str, object]:
    """What a job carries."""
    events = [
        EvaluationEvent(time=one.at, key=one.flag, variant=one.variant, context_id=one.targeting_key)
        for one in exposures
    ]
    return {"events": msgspec.to_builtins(events)}


def read(payload: dict[str, Any]) -> Sequence[Exposure]:
    """What :func:`payload` made a payload of."""
    events = msgspec.convert(payload["events"], tuple[EvaluationEvent, ...])
    return [Exposure(flag=one.key, variant=one.variant, targeting_key=one.context_id, at=one.time) for one in events]
