"""What the Prometheus adapter can be told."""

from __future__ import annotations

import msgspec


class PrometheusSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[telemetry.prometheus]``."""

    multiprocess_dir: str = ""
    """A folder that all processes of one server share, for the sum of their series; emptied before the server starts.
    Empty means that each process tells of itself alone."""
