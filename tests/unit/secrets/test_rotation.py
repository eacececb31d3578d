"""A rotation that is interrupted anywhere leaves a working credential, and the next run ends it."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from tradesense.adapters.local._rotation import PasswordRotator
from tradesense.adapters.memory import tradesense_adapters
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.memory.telemetry import MemoryAlertNotifier, MemoryTelemetry
from tradesense.adapters.system.ambient import SystemRandom
from tradesense.core.audit.chain import AuditChain
from tradesense.core.audit.models import WORKER
from tradesense.core.errors import InvalidInput, RotationFailed, SecretNotFound
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.secrets.provider import Provider
from tradesense.core.secrets.rotation import LOOK_SECONDS, Rotation, RotationHealth, RotationPolicy
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.instruments import ROTATIONS_OVERDUE
from tradesense.core.telemetry.models import Status
from tradesense.core.testing import ManualClock

CAN = next(one.capabilities for one in tradesense_adapters() if one.port is SecretStore)
DAY = 86_400.0
PATH = "team-a/key"


class Killed(BaseException):
    """The process is gone."""


class Service:
    """Accepts some credentials, as a server would; a rotator that can be killed before or after each step."""

    def __init__(self, accepted):
        self.accepted = [accepted]
        self.kill = ""
        self.fail = False
        self.made = 0

    def _step(self, name):
        if self.kill == name:
            self.kill = ""
            raise Killed

    async def create(self, current, options):  # noqa: ARG002  # as the port says
        self._step("before create")
        self.made += 1
        self._step("after create")
        return Secret(f"made {self.made}")

    async def set(self, current, pending, options):  # noqa: ARG002  # as the port says
        self._step("before set")
        if self.fail:
            raise RotationFailed("the server is away")
        self.accepted = [current.value.reveal(), pending.value.reveal()]
        self._step("after set")

    async def test(self, pending, options):  # noqa: ARG002  # as the port says
        self._step("before test")
        assert pending.value.reveal() in self.accepted
        self._step("after test")


class Trail:
    def __init__(self):
        self.events = []

    @asynccontextmanager
    async def change(self, event, *, joined):
        assert not joined
        self.events.append(event)
        yield event

    def fingerprint(self, value):
        return AuditChain(bytes(32)).fingerprint(value.reveal_bytes())


class World:
    async def tell(self, path):
        self.changed.append(path)

    def __init__(self, store, clock, rotator, **options):
        self.store, self.clock, self.trail = store, clock, Trail()
        self.telemetry, self.alerts, self.changed = MemoryTelemetry(clock=clock), MemoryAlertNotifier(), []
        self.rotation = Rotation(
            provider=Provider("memory", store, CAN, joined=False),
            policies=[RotationPolicy(path=PATH, every=DAY, rotator="r", options=options)],
            rotators={"r": rotator},
            trail=self.trail,
            clock=clock,
            telemetry=self.telemetry,
            alerts=self.alerts,
            changed=self.tell,
        )


@pytest.fixture
async def made():
    clock = ManualClock()
    async with MemorySecretStore(MemoryState(), clock=clock) as store, MemoryAlertNotifier() as alerts:
        world = World(store, clock, Service("first"))
        world.service = world.rotation._rotators["r"]
        world.alerts = world.rotation._alerts = alerts
        yield world


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
    assert event.detail == {"rotator": "r", "step": "finish", "version": f"{version}", "value_hmac": written}


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
    assert (found.status, found.detail) == (Status.DEGRADED, "nobody knows: AdapterClosed")
