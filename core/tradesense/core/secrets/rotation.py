"""Rotation: a new credential is made, let in, tried, and only then becomes the current one.

Each of the four steps can be done again without harm, and what a run that was interrupted has staged is found by the
next. The current version goes on being a working credential until the pending one has been tried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock
from tradesense.core.audit.models import VALUE_HMAC, WORKER, Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import InvalidInput, SecretNotFound, TradeSenseError
from tradesense.core.secrets.models import StoredSecret, check_value
from tradesense.core.secrets.ports import Rotator
from tradesense.core.secrets.provider import Provider
from tradesense.core.telemetry.instruments import ROTATIONS, ROTATIONS_OVERDUE
from tradesense.core.telemetry.models import Alert, Health, Status
from tradesense.core.telemetry.ports import AlertNotifier, Telemetry

LOOK_SECONDS = 30.0
"""How long one look at the rotations answers every question of how they are."""
GRACE = 0.1
"""The part of the interval after which a rotation that is due is overdue."""


class RotationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How one secret is rotated."""

    path: str
    every: float
    """Seconds."""
    rotator: str
    options: Mapping[str, str] = {}


class RotationState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a rotated secret stands."""

    path: str
    due_at: datetime | None
    """``None`` where the secret is not there, or nobody knows its age."""
    pending: bool = False
    overdue: bool = False


class Rotation:
    """Rotates secrets by their policies."""

    def __init__(
        self,
        *,
        provider: Provider,
        policies: Sequence[RotationPolicy],
        rotators: Mapping[str, Rotator],
        trail: AuditTrail,
        clock: Clock,
        telemetry: Telemetry,
        alerts: AlertNotifier,
        changed: Callable[[str], Awaitable[None]],
    ) -> None:
        """Make it of its parts.

        :param changed: called with the path when another version has become current.
        """
        self._provider = provider
        self._policies = {policy.path: policy for policy in policies}
        self._rotators = rotators
        self._trail = trail
        self._clock = clock
        self._alerts = alerts
        self._changed = changed
        self._overdue = telemetry.bind(ROTATIONS_OVERDUE)
        self._done = {word: telemetry.bind(ROTATIONS, (word,)) for word in ("succeeded", "failed")}
        self._told: set[str] = set()

    @property
    def policies(self) -> Sequence[RotationPolicy]:
        """What is rotated."""
        return tuple(self._policies.values())

    @as_system("secrets.rotate")
    async def run(self) -> int:
        """Rotate all that is due, and say what is overdue; returns how many were rotated.

        What fails is tried again by the next run.
        """
        rotated = 0
        for policy in self._policies.values():
            try:
                state = await self._state(policy)
                if state.pending or (state.due_at is not None and state.due_at <= self._clock.now()):
                    await self.rotate(policy.path, actor=WORKER)
                    rotated += 1
            except TradeSenseError:
                continue  # it is counted and on the trail; the others need not wait for it
        await self._tell()
        return rotated

    async def rotate(self, path: str, *, actor: Actor, correlation_id: str = "") -> int:
        """Rotate one secret now; returns the version that is current afterwards.

        :raises InvalidInput: it has no policy, or the provider cannot stage versions.
        :raises SecretNotFound: there is no such secret to rotate from.
        """
        policy = self._policies.get(path)
        if policy is None:
            raise InvalidInput(
                f"no policy says how {path[:80]!r} is rotated", mend="name it in a section [secrets.rotation.NAME]"
            )
        self._provider.rotating()
        event = Event("secrets.rotate", path, actor, correlation_id, {"rotator": policy.rotator})
        try:
            async with self._trail.change(event, joined=False):
                version = await self._steps(policy, event)
        except TradeSenseError:
            self._done["failed"](1)
            raise
        self._done["succeeded"](1)
        self._told.discard(path)
        await self._changed(path)
        return version

    async def states(self) -> tuple[RotationState, ...]:
        """Where every rotated secret stands.

        :raises SecretStoreUnavailable: the provider did not answer.
        """
        return tuple([await self._state(policy) for policy in self._policies.values()])

    async def _steps(self, policy: RotationPolicy, event: Event) -> int:
        store, rotator = self._provider.rotating(), self._rotators[policy.rotator]
        current = await store.get(policy.path)
        pending = await store.pending(policy.path)
        if pending is None:
            event.detail["step"] = "create"
            value = check_value(await rotator.create(current, policy.options))
            version = await store.stage(policy.path, value, **self._provider.author(event.actor))
            pending = StoredSecret(path=policy.path, value=value, version=version)
        event.detail |= {
            "step": "set",
            "version": f"{pending.version}",
            VALUE_HMAC: self._trail.fingerprint(pending.value),
        }
        await rotator.set(current, pending, policy.options)
        event.detail["step"] = "test"
        await rotator.test(pending, policy.options)
        event.detail["step"] = "finish"
        await store.promote(policy.path, pending.version)
        return pending.version

    async def _state(self, policy: RotationPolicy) -> RotationState:
        store = self._provider.rotating()
        try:
            found = await store.get(policy.path)
        except SecretNotFound:
            return RotationState(path=policy.path, due_at=None)
        due = found.created_at + timedelta(seconds=policy.every) if found.created_at else None
        late = due + timedelta(seconds=policy.every * GRACE) if due else None
        return RotationState(
            path=policy.path,
            due_at=due,
            pending=await store.pending(policy.path) is not None,
            overdue=late is not None and late <= self._clock.now(),
        )

    async def _tell(self) -> None:
        """Measure what is overdue, and alert a person once for each."""
        try:
            overdue = {state.path for state in await self.states() if state.overdue}
        except TradeSenseError:
            return  # the provider is away, which its own health check says
        self._overdue(len(overdue))
        for path in sorted(overdue - self._told):
            alert = Alert(
                name="secrets.rotation.overdue",
                severity="warning",
                summary=f"the secret {path} should have been rotated",
                labels={"path": path},
            )
            try:
                await self._alerts.notify(alert)
            except TradeSenseError:
                continue  # the next run tells it again
            self._told.add(path)
        self._told &= overdue


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
        try:
            late = [state.path for state in await self._rotation.states() if state.overdue]
        except TradeSenseError as error:
            return Health(name=self.name, status=Status.DEGRADED, detail=f"nobody knows: {type(error).__name__}")
        if late:
            detail = f"{len(late)} should have been rotated: {', '.join(sorted(late)[:10])}"
            return Health(name=self.name, status=Status.DEGRADED, detail=detail)
        return Health(name=self.name, status=Status.UP)
