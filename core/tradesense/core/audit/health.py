"""Whether the trail can be written, and with it anything be changed."""

from __future__ import annotations

from tradesense.core.audit.service import AuditTrail
from tradesense.core.errors import AuditUnavailable
from tradesense.core.telemetry.models import Health, Status
from tradesense.core.telemetry.ports import HealthCheck


class TrailHealth:
    """Degraded while nothing can be recorded: reads that need no record are still answered.

    The trail is tried only after a record was refused, so that a healthy one is asked for nothing.
    """

    name = "audit"
    essential = False

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail

    async def check(self) -> Health:
        """See :meth:`HealthCheck.check`."""
        if not self._trail.refused:
            return Health(name=self.name, status=Status.UP)
        try:
            await self._trail.probe()
        except AuditUnavailable as error:
            detail = f"nothing can be recorded, so nothing is changed: {error.detail}"
            return Health(name=self.name, status=Status.DEGRADED, detail=detail)
        return Health(name=self.name, status=Status.UP)


_: type[HealthCheck] = TrailHealth
