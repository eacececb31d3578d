"""Rotation: a new credential is made, let in, tried, and only then becomes the current one.

Each of the four steps can be done again without harm, and what a run that was interrupted has staged is found by the
next. The current version goes on being a working credential until the pending one has been tried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock
from tradesense.core.audit.models import VALUE_HMAC, WORKER, Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import InvalidInput, RotationFailed, SecretNotFound, TradeSenseError
from tradesense.core.secrets.models import StoredSecret, check_value
from tradesense.core.secrets.ports import Rotator
from tradesense.core.secrets.provider import Provider
from tradesense.core.telemetry.instruments import ROTATIONS, ROTATIONS_OVERDUE
from tradesense.core.telemetry.models import Alert, Health, Status
from tradesense.core.telemetry.ports import AlertNotifier, Telemetry

LOOK_SECONDS = 30.0
"""How long one look at the rotations answers every question of how they are."""
NAMED = 10
"""How many secrets of a kind a look names."""
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
    """It should have been rotated; or nobody can say that it need not be, since it is not there or cannot be read."""
    unknown: str = ""
    """The class of the error that hid how it stands."""


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
        try:
            for policy in self._policies.values():
                state = await self._state(policy)
                if not state.pending and (state.due_at is None or state.due_at > self._clock.now()):
                    continue
                try:
                    await self.rotate(policy.path, actor=WORKER)
                    rotated += 1
                except TradeSenseError:
                    continue  # it is counted and on the trail; the others need not wait for it
        finally:
            await self._tell()
        return rotated

    async def rotate(self, path: str, *, actor: Actor, correlation_id: str = "") -> int:
        """Rotate one secret now; returns the version that is current afterwards.

        :raises InvalidInput: it has no policy, or the provider cannot stage versions.
        :raises SecretNotFound: there is no such secret to rotate from.
        :raises RotationFailed: the rotator could not do a step, or broke in it; the current value goes on being good.
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
        """Where every rotated secret stands. One that cannot be read is ``unknown``, and hides none of the others."""
        return tuple([await self._state(policy) for policy in self._policies.values()])

    async def _steps(self, policy: RotationPolicy, event: Event) -> int:
        store, rotator = self._provider.rotating(), self._rotators[policy.rotator]
        current = await store.get(policy.path)
        pending = await store.pending(policy.path)
        if pending is None:
            event.detail["step"] = "create"
            with _asked(policy, "create"):
                value = check_value(await rotator.create(current, policy.options))
            version = await store.stage(policy.path, value, **self._provider.author(event.actor))
            pending = StoredSecret(path=policy.path, value=value, version=version)
        event.detail |= {
            "step": "set",
            "version": f"{pending.version}",
            VALUE_HMAC: self._trail.fingerprint(pending.value),
        }
        with _asked(policy, "set"):
            await rotator.set(current, pending, policy.options)
        event.detail["step"] = "test"
        with _asked(policy, "test"):
            await rotator.test(pending, policy.options)
        event.detail["step"] = "finish"
        await store.promote(policy.path, pending.version)
        return pending.version

    async def _state(self, policy: RotationPolicy) -> RotationState:
        try:
            return await self._found(policy)
        except SecretNotFound:
            return RotationState(path=policy.path, due_at=None, overdue=True)
        except TradeSenseError as error:
            return RotationState(path=policy.path, due_at=None, overdue=True, unknown=type(error).__name__)

    async def _found(self, policy: RotationPolicy) -> RotationState:
        store = self._provider.rotating()
        found = await store.get(policy.path)
        due = found.created_at + timedelta(seconds=policy.every) if found.created_at else None
        return RotationState(
            path=policy.path,
            due_at=due,
            pending=await store.pending(policy.path) is not None,
            overdue=due is None or due + timedelta(seconds=policy.every * GRACE) <= self._clock.now(),
        )

    async def _tell(self) -> None:
        """Measure what is overdue, and alert a person once for each."""
        overdue = {state.path: state for state in await self.states() if state.overdue}
        self._overdue(len(overdue))
        for path in sorted(overdue.keys() - self._told):
            alert = Alert(
                name="secrets.rotation.overdue",
                severity="warning",
                summary=_summary(overdue[path]),
                labels={"path": path},
            )
            try:
                await self._alerts.notify(alert)
            except TradeSenseError:
                continue  # the next run tells it again
            self._told.add(path)
        self._told &= overdue.keys()


@contextmanager
def _asked(policy: RotationPolicy, step: str) -> Generator[None]:
    """A step of a rotator, which may be a plugin's: whatever it raises is told as the failure of this rotation."""
    try:
        yield
    except TradeSenseError:
        raise
    except Exception as error:  # noqa: BLE001  # a plugin may raise anything, and the other rotations go on
        # Without the error itself: the text of another's error may hold the credential that it was about.
        raise RotationFailed(
            f"the rotator {policy.rotator!r} broke at the step {step!r} of {policy.path!r}: {type(error).__name__}",
            origin="secrets.rotation",
            mend="the current value goes on being good; mend the rotator, or name another one in the policy",
        ) from None


def _summary(state: RotationState) -> str:
    if state.unknown:
        return f"nobody knows whether the secret {state.path} should have been rotated: {state.unknown}"
    if state.due_at is None:
        return f"the secret {state.path} is to be rotated, and it is not there or has no age"
    return f"the secret {state.path} should have been rotated"


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
