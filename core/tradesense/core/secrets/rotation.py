"""Rotation: a new credential is made, let in, tried, and only then becomes the current one.

Each of the four steps can be done again without harm, and what a run that was interrupted has staged is found by the
next. The current version goes on being a working credential until the pending one has been tried.

One rotation of a secret runs at a time, under a lease: two of them would each let in a value of its own, and the one
that becomes current need not be the one that was let in last. A second one is refused and does not wait, as what it
was to do is being done. A holder that has lost its lease unawares is stopped at its next step by the fencing token.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta

import msgspec

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock
from tradesense.core.audit.models import VALUE_HMAC, WORKER, Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.cache.coordination import Coordination
from tradesense.core.cache.leases import Held
from tradesense.core.cache.models import MAX_KEY
from tradesense.core.errors import InvalidInput, LeaseTaken, RotationFailed, SecretNotFound, TradeSenseError
from tradesense.core.secrets.models import StoredSecret, check_value
from tradesense.core.secrets.ports import Rotator
from tradesense.core.secrets.provider import Provider
from tradesense.core.telemetry.instruments import ROTATIONS, ROTATIONS_OVERDUE
from tradesense.core.telemetry.models import Alert
from tradesense.core.telemetry.ports import AlertNotifier, Telemetry
from tradesense.core.transactions import Transactions

LEASE_SECONDS = 30.0
"""After so long the rotation of a process that died may be gone on with by another."""
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
        coordination: Coordination,
        transactions: Transactions,
        trail: AuditTrail,
        clock: Clock,
        telemetry: Telemetry,
        alerts: AlertNotifier,
        changed: Callable[[str], Awaitable[None]],
    ) -> None:
        """Make it of its parts.

        :param transactions: those that the fences of ``coordination`` join.
        :param changed: called with the path when another version has become current.
        """
        self._provider = provider
        self._policies = {policy.path: policy for policy in policies}
        self._rotators = rotators
        self._coordination = coordination
        self._transactions = transactions
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
                if not await self._due(policy):
                    continue
                try:
                    rotated += await self._rotate(policy, _event(policy, WORKER), if_due=True) > 0
                except TradeSenseError:
                    continue  # it is counted, or another's; the others need not wait for it
        finally:
            await self._tell()
        return rotated

    async def rotate(self, path: str, *, actor: Actor, correlation_id: str = "") -> int:
        """Rotate one secret now; returns the version that is current afterwards.

        :raises InvalidInput: it has no policy, or the provider cannot stage versions.
        :raises LeaseTaken: it is being rotated now.
        :raises LeaseLost: another has gone on with it, because this process could not keep its lease.
        :raises LocksUnavailable: nobody knows whether it is being rotated; nothing was done.
        :raises SecretNotFound: there is no such secret to rotate from.
        :raises RotationFailed: the rotator could not do a step, or broke in it; the current value goes on being good.
        """
        policy = self._policies.get(path)
        if policy is None:
            raise InvalidInput(
                f"no policy says how {path[:80]!r} is rotated", mend="name it in a section [secrets.rotation.NAME]"
            )
        self._provider.rotating()
        return await self._rotate(policy, _event(policy, actor, correlation_id))

    async def states(self) -> tuple[RotationState, ...]:
        """Where every rotated secret stands. One that cannot be read is ``unknown``, and hides none of the others."""
        return tuple([await self._state(policy) for policy in self._policies.values()])

    async def _rotate(self, policy: RotationPolicy, event: Event, *, if_due: bool = False) -> int:
        """Rotate it alone; returns 0 where it is to be done ``if_due``, and another has done it meanwhile."""
        try:
            async with self._alone(policy.path) as held:
                if if_due and not await self._due(policy):
                    return 0
                async with self._trail.change(event, joined=False):
                    version = await self._steps(policy, event, held)
        except LeaseTaken:
            raise  # no failure: it is being done
        except TradeSenseError:
            self._done["failed"](1)
            raise
        self._done["succeeded"](1)
        self._told.discard(policy.path)
        await self._changed(policy.path)
        return version

    async def _steps(self, policy: RotationPolicy, event: Event, held: Held) -> int:
        store, rotator = self._provider.rotating(), self._rotators[policy.rotator]
        current = await store.get(policy.path)
        pending = await store.pending(policy.path)
        if pending is None:
            event.detail["step"] = "create"
            with _asked(policy, "create"):
                value = check_value(await rotator.create(current, policy.options))
            async with self._latest(held):
                version = await store.stage(policy.path, value, **self._provider.author(event.actor))
            pending = StoredSecret(path=policy.path, value=value, version=version)
        event.detail |= {
            "step": "set",
            "version": f"{pending.version}",
            VALUE_HMAC: self._trail.fingerprint(pending.value),
        }
        async with self._latest(held):
            pass
        with _asked(policy, "set"):
            await rotator.set(current, pending, policy.options)
        event.detail["step"] = "test"
        with _asked(policy, "test"):
            await rotator.test(pending, policy.options)
        event.detail["step"] = "finish"
        async with self._latest(held):
            await store.promote(policy.path, pending.version)
        return pending.version

    @asynccontextmanager
    async def _alone(self, path: str) -> AsyncGenerator[Held]:
        # Of paths so long that their names are cut to the same, one waits for the other, which does no harm.
        name = f"secrets.rotate:{path}"[:MAX_KEY]
        try:
            held = await self._coordination.leases.take(name, LEASE_SECONDS)
        except LeaseTaken as taken:
            raise LeaseTaken(
                f"the secret {path!r} is being rotated now",
                mend="see with `tradesense secrets rotations` when it is due again, and rotate it then if it must be",
            ) from taken
        async with self._coordination.leases.keep(held):
            yield held

    @asynccontextmanager
    async def _latest(self, held: Held) -> AsyncGenerator[None]:
        """Do the body only as the latest holder of the lease: in one transaction with the fence, where it can join."""
        async with self._transactions.begin():
            await self._coordination.guard(held)
            if self._provider.joined:
                yield
                return
        yield

    async def _due(self, policy: RotationPolicy) -> bool:
        state = await self._state(policy)
        return state.pending or (state.due_at is not None and state.due_at <= self._clock.now())

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


def _event(policy: RotationPolicy, actor: Actor, correlation_id: str = "") -> Event:
    return Event("secrets.rotate", policy.path, actor, correlation_id, {"rotator": policy.rotator})


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
