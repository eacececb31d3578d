"""What the OpenTelemetry adapter can be told."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret


class OtelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[telemetry.otel]``."""

    endpoint: str = "http://127.0.0.1:4318"
    """The collector's OTLP/HTTP address; ``/v1/traces`` and ``/v1/metrics`` are appended."""
    service_name: str = "tradesense"
    """``service.name`` of everything that is sent."""
    headers: Secret = Secret("")
    """Headers of every export, as in ``x-api-key=KEY,x-tenant=a``."""
    compress: bool = False
    """Whether exports are compressed; it costs more than all the rest of a span, and a collector is mostly near."""
    timeout: Annotated[float, Meta(gt=0, le=60)] = 5.0
    """Seconds that one export, and the last one at the end, may take."""
    interval: Annotated[float, Meta(ge=0.05, le=600)] = 5.0
    """Seconds between two exports of spans; metrics go at the same pace."""
    queue: Annotated[int, Meta(ge=64, le=1_000_000)] = 4_096
    """Spans that wait for their export at most; more are dropped."""
