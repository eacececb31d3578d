"""How the rotations are, for whoever asks a process for its health."""

from __future__ import annotations

from tradesense.core.ambient import Clock
from tradesense.core.secrets.rotation import Rotation
from tradesense.core.telemetry.models import Health, Status

LOOK_SECONDS = 30.0
"""How long one look at the rotations answers every question of how they are."""
NAMED = 10
"""How many secrets of a kind a look names."""


class RotationHealth:
    """Says in any process what should have been rotated. That alone stops nobody from working."""

    name = "secrets.rotation"
    essential = False

    def __init__(self, rotation: Rotation, clock: Clock) -> None:
        self._rotation = rotation
        self._clock = clock
        self._found = Health(name=self.name, status=Status.UP)
        self._until = 0.0

    async def check(self) -> Health:
        """Look at every policy, at most each :data:`LOOK_SECONDS`; see :meth:`HealthCheck.check`."""
        if self._clock.monotonic() >= self._until:
            self._found = await self._look()
            self._until = self._clock.monotonic() + LOOK_SECONDS
        return self._found

    async def _look(self) -> Health:
        overdue = sorted((state for state in await self._rotation.states() if state.overdue), key=lambda one: one.path)
        late = [state.path for state in overdue if not state.unknown]
        unknown = [f"{state.path} ({state.unknown})" for state in overdue if state.unknown]
        said = [f"{len(late)} should have been rotated: {', '.join(late[:NAMED])}"] if late else []
        said += [f"nobody knows of {len(unknown)}: {', '.join(unknown[:NAMED])}"] if unknown else []
        return Health(name=self.name, status=Status.DEGRADED if said else Status.UP, detail="; ".join(said))
