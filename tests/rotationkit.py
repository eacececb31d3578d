"""Processes that rotate secrets, over one memory, and services that take the credentials."""

from __future__ import annotations

from contextlib import asynccontextmanager

from tradesense.adapters.memory import tradesense_adapters
from tradesense.adapters.memory._fences import MemoryFences
from tradesense.adapters.memory._locks import MemoryLocks
from tradesense.adapters.memory.telemetry import MemoryAlertNotifier, MemoryTelemetry
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemRandom
from tradesense.core.audit.chain import AuditChain
from tradesense.core.cache.coordination import Coordination
from tradesense.core.errors import RotationFailed
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.secrets.provider import Provider
from tradesense.core.secrets.rotation import Rotation, RotationPolicy
from tradesense.core.sensitive import Secret

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

    def __init__(self, store, clock, rotator=None, *, rotators=None, locks=None, joined=True):
        self.store, self.clock, self.trail = store, clock, Trail()
        self.telemetry, self.alerts, self.changed = MemoryTelemetry(clock=clock), MemoryAlertNotifier(), []
        rotators = rotators or {PATH: rotator}
        random = SystemRandom()
        self.rotation = Rotation(
            provider=Provider("memory", store, CAN, joined=joined),
            coordination=Coordination(
                locks=MemoryLocks(locks or store.state, clock=clock, random=random),
                fences=MemoryFences(store.state),
                random=random,
            ),
            transactions=MemoryTransactions(store.state),
            policies=[RotationPolicy(path=path, every=DAY, rotator=path) for path in rotators],
            rotators=rotators,
            trail=self.trail,
            clock=clock,
            telemetry=self.telemetry,
            alerts=self.alerts,
            changed=self.tell,
        )


async def opened(*args, **options):
    """A process that rotates, whose parts are open; they hold nothing that would have to be closed."""
    world = World(*args, **options)
    coordination = world.rotation._coordination
    await coordination._locks.__aenter__()
    await coordination._fences.__aenter__()
    await world.rotation._transactions.__aenter__()
    return world
