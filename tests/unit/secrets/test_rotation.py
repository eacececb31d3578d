"""A rotation that is interrupted anywhere leaves a working credential, and the next run ends it."""

from __future__ import annotations

import traceback

import pytest

from rotationkit import DAY, PATH, Killed, Service, opened
from tradesense.adapters.local._rotation import PasswordRotator
from tradesense.adapters.system.ambient import SystemRandom
from tradesense.core.audit.models import WORKER
from tradesense.core.errors import DecryptionFailed, InvalidInput, RotationFailed, SecretNotFound
from tradesense.core.secrets.overdue import LOOK_SECONDS, RotationHealth
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.instruments import ROTATIONS_OVERDUE
from tradesense.core.telemetry.models import Status

STEPS = [f"{when} {step}" for step in ("create", "set", "test") for when in ("before", "after")]


@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_leaves_a_working_credential_and_the_next_run_ends_it(made, step):
    await made.store.put(PATH, Secret("first"))
    made.clock.advance(DAY)
    made.service.kill = step
    with pytest.raises(Killed):
        await made.rotation.run()
    assert (await made.store.get(PATH)).value.reveal() in made.service.accepted
    assert await made.rotation.run() == 1
    found = await made.store.get(PATH)
    assert found.value.reveal() == f"made {made.service.made}"
    assert found.value.reveal() in made.service.accepted
    assert await made.store.pending(PATH) is None
    assert made.changed == [PATH]
    assert await made.rotation.run() == 0


async def test_a_crash_before_promotion_is_ended_though_nothing_is_due(made):
    await made.store.put(PATH, Secret("first"))
    await made.store.stage(PATH, Secret("staged by one who is gone"))
    assert await made.rotation.run() == 1
    assert (await made.store.get(PATH)).value == Secret("staged by one who is gone")
    assert made.service.made == 0


async def test_what_fails_is_tried_again_counted_and_told_once_when_it_is_overdue(made):
    await made.store.put(PATH, Secret("first"))
    assert await made.rotation.run() == 0, "nothing is due yet"
    health = RotationHealth(made.rotation, made.clock)
    assert (await health.check()).status is Status.UP
    made.service.fail = True
    made.clock.advance(DAY)
    assert await made.rotation.run() == 0
    assert not made.alerts.notified
    assert (await health.check()).status is Status.UP, "it is due, and not late"
    made.clock.advance(DAY)
    for _ in range(3):
        assert await made.rotation.run() == 0
    assert [(alert.name, alert.labels) for alert in made.alerts.notified] == [
        ("secrets.rotation.overdue", {"path": PATH})
    ]
    assert (await made.store.get(PATH)).value == Secret("first")
    assert [state.overdue for state in await made.rotation.states()] == [True]
    assert made.telemetry.series(ROTATIONS_OVERDUE).value == 1
    found = await health.check()
    assert (found.status, PATH in found.detail, health.essential) == (Status.DEGRADED, True, False)
    made.service.fail = False
    assert await made.rotation.run() == 1
    assert made.telemetry.series(ROTATIONS_OVERDUE).value == 0
    assert await health.check() is found, "a look counts for a while"
    made.clock.advance(LOOK_SECONDS)
    assert (await health.check()).status is Status.UP
    assert [state.overdue for state in await made.rotation.states()] == [False]


async def test_only_what_has_a_policy_and_is_there_is_rotated(made):
    with pytest.raises(InvalidInput):
        await made.rotation.rotate("other", actor=WORKER)
    with pytest.raises(SecretNotFound):
        await made.rotation.rotate(PATH, actor=WORKER)
    assert await made.rotation.run() == 0


async def test_the_trail_says_which_rotator_and_no_value(made):
    await made.store.put(PATH, Secret("first"))
    version = await made.rotation.rotate(PATH, actor=WORKER)
    (event,) = made.trail.events
    written = made.trail.fingerprint((await made.store.get(PATH)).value)
    assert event.detail == {"rotator": PATH, "step": "finish", "version": f"{version}", "value_hmac": written}


async def test_passwords_are_random_and_as_long_as_asked_for(made):
    rotator = PasswordRotator(random=SystemRandom())
    await made.store.put(PATH, Secret("first"))
    current = await made.store.get(PATH)
    one, other = [await rotator.create(current, {}) for _ in range(2)]
    assert one != other
    assert len(one) == 43
    assert len(await rotator.create(current, {"bytes": "16"})) == 22
    for wrong in ("15", "x", "-1", "9999", ""):
        with pytest.raises(InvalidInput):
            await rotator.create(current, {"bytes": wrong})


async def test_a_provider_that_is_away_leaves_the_rotations_unknown(made):
    await made.store.__aexit__(None, None, None)
    found = await RotationHealth(made.rotation, made.clock).check()
    assert (found.status, found.detail) == (Status.DEGRADED, f"nobody knows of 1: {PATH} (AdapterClosed)")


class Bug(Service):
    """A plugin's rotator that breaks at one step, with the credential in its error."""

    def __init__(self, step):
        super().__init__("first")
        self.broken = step

    def _step(self, name):
        if name == f"after {self.broken}":
            raise ValueError("the password is hunter2")


@pytest.mark.parametrize("step", ["create", "set", "test"])
async def test_a_rotator_that_breaks_fails_alone_and_its_words_are_not_told(made, step):
    made = await opened(made.store, made.clock, rotators={"a/broken": Bug(step), PATH: Service("first")})
    for path in ("a/broken", PATH):
        await made.store.put(path, Secret("first"))
    made.clock.advance(2 * DAY)
    async with made.alerts:
        assert await made.rotation.run() == 1
        assert made.changed == [PATH]
        assert [alert.labels["path"] for alert in made.alerts.notified] == ["a/broken"]
    with pytest.raises(RotationFailed) as failed:
        await made.rotation.rotate("a/broken", actor=WORKER)
    for word in ("a/broken", step, "ValueError"):
        assert word in failed.value.line()
    assert "hunter2" not in failed.value.line() + "".join(traceback.format_exception(failed.value))
    assert (await made.store.get("a/broken")).value == Secret("first")


class Unreadable:
    """A store in which one secret's envelope does not open."""

    def __init__(self, store, path):
        self._store, self._path = store, path

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def get(self, path):
        if path == self._path:
            raise DecryptionFailed(path)
        return await self._store.get(path)


async def test_what_cannot_be_read_or_is_not_there_is_told_and_hides_no_other(made):
    away = Service("first")
    away.fail = True
    store = Unreadable(made.store, "a/broken")
    made = await opened(store, made.clock, rotators={"a/broken": Service("x"), "b/absent": Service("x"), PATH: away})
    for path in ("a/broken", PATH):
        await made.store.put(path, Secret("first"))
    made.clock.advance(2 * DAY)
    async with made.alerts:
        for _ in range(2):
            assert await made.rotation.run() == 0
        told = {alert.labels["path"]: alert.summary for alert in made.alerts.notified}
        assert len(made.alerts.notified) == len(told) == 3
    assert "DecryptionFailed" in told["a/broken"]
    assert "not there" in told["b/absent"]
    assert "should have been rotated" in told[PATH]
    assert made.telemetry.series(ROTATIONS_OVERDUE).value == 3
    found = await RotationHealth(made.rotation, made.clock).check()
    assert found.status is Status.DEGRADED
    assert found.detail == (
        f"2 should have been rotated: b/absent, {PATH}; nobody knows of 1: a/broken (DecryptionFailed)"
    )
    assert [(state.path, state.unknown) for state in await made.rotation.states()] == [
        ("a/broken", "DecryptionFailed"),
        ("b/absent", ""),
        (PATH, ""),
    ]


class Shaking:
    """A store whose one method breaks as no store may."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def stage(self, path, value, *, by=""):  # noqa: ARG002  # as the port says
        raise ZeroDivisionError


async def test_what_is_overdue_is_told_though_the_run_breaks(made):
    made = await opened(Shaking(made.store), made.clock, Service("first"))
    await made.store.put(PATH, Secret("first"))
    made.clock.advance(2 * DAY)
    async with made.alerts:
        with pytest.raises(ZeroDivisionError):
            await made.rotation.run()
        assert [alert.labels["path"] for alert in made.alerts.notified] == [PATH]
