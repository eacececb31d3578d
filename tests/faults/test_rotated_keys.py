"""Key-encryption keys are rotated, rewrapped and retired while secrets are read, and the rewrapping is killed."""

from __future__ import annotations

import asyncio
import base64
import signal
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

import contracted
import sqldatabases
from sqldatabases import sql
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.audit.models import WORKER
from tradesense.core.errors import ConfigurationError, DecryptionFailed, InvalidInput
from tradesense.core.secrets.envelope import Sealer
from tradesense.core.secrets.keys import Keys
from tradesense.core.secrets.ports import Aead, KeyEncryption, SecretStore
from tradesense.core.secrets.provider import Provider
from tradesense.core.sensitive import Secret
from tradesense.core.testing import eventually, opened

SECRETS = 120
ROOT = base64.b64encode(bytes(range(32))).decode()

REWRAP = """
import asyncio, sys
sys.path[:0] = {path!r}
from test_rotated_keys import slow_rewrap
asyncio.run(slow_rewrap(*sys.argv[1:]))
"""


def lent(ring, root=ROOT, clock=None):
    """What the SQL adapter is given, with the real key encryption under it."""
    context = contracted.context(clock)
    keys = contracted.build(
        contracted.manifest("local", KeyEncryption), context, root_key=Secret(root), ring_file=str(ring)
    )
    aead = contracted.build(contracted.manifest("local", Aead), context)
    context.sealer = Sealer(keys=keys, aead=aead, random=context.random, namespace="tests")
    return keys, context


async def slow_rewrap(url, ring):
    """Rewrap one envelope after the other, as a process that will be killed."""
    keys, context = lent(ring)
    async with opened(keys), sql(SecretStore, url, context) as store:
        after = None
        while after := (await store.rewrap(limit=1, after=after)).after:
            pass


class Trail:
    """Records what is changed; these tests are not about how."""

    def __init__(self):
        self.events = []

    @asynccontextmanager
    async def change(self, event, *, joined):
        assert not joined
        yield event
        self.events.append(event)


def service(store, keys, clock):
    provider = Provider("sql", store, contracted.manifest("sql", SecretStore).capabilities, joined=False)
    return Keys(provider=provider, encryption=keys, ring=True, trail=Trail(), clock=clock)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield sqldatabases.sqlite_url(tmp_path)
    else:
        with sqldatabases.postgresql_database(request.getfixturevalue("postgres")) as made:
            yield made


async def test_F11_R51_keys_are_rotated_with_no_failed_read_though_the_rewrapping_is_killed(url, tmp_path):
    ring = tmp_path / "ring.json"
    keys, context = lent(ring)
    async with opened(keys), sql(SecretStore, url, context) as store:
        for number in range(SECRETS):
            await store.put(f"s/{number}", Secret(f"value {number}"))
        reads, failures, done = 0, [], asyncio.Event()

        async def read():
            nonlocal reads
            while not done.is_set():
                number = reads % SECRETS
                reads += 1
                found = await store.get(f"s/{number}")
                if found.value != Secret(f"value {number}"):
                    failures.append(number)
                await asyncio.sleep(0)

        readers = [asyncio.create_task(read()) for _ in range(3)]
        operator = service(store, keys, SystemClock())
        (old,) = [report.key_id for report in await operator.status()]
        new = await operator.rotate(actor=WORKER)
        killed = 0
        for _ in range(3):
            left = (await store.key_counts())[old]
            killed += await _kill_on_the_way(store, url, ring, old, left)
        assert killed, "no rewrapping was killed on its way"
        with pytest.raises(InvalidInput, match=r"still seals|younger"):
            await operator.retire(old, actor=WORKER)
        left = (await store.key_counts()).get(old, 0)
        assert 0 < left < SECRETS, "what a killed run has done stays done"
        assert await operator.rewrap(actor=WORKER) == left
        assert await store.key_counts() == {new: SECRETS}
        operator = service(store, keys, Later())
        await operator.retire(old, actor=WORKER)
        assert [(report.key_id, report.envelopes) for report in await operator.status()] == [(new, SECRETS)]
        done.set()
        await asyncio.gather(*readers)
        assert not failures
        assert reads > SECRETS


class Later(SystemClock):
    """A minute ahead."""

    def now(self):
        return super().now() + timedelta(minutes=1)


async def _kill_on_the_way(store, url, ring, old, left):
    here = Path(__file__).parent
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", REWRAP.format(path=[str(here), str(here.parent)]), url, str(ring)
    )

    async def begun():
        """The other process has rewrapped something."""
        return process.returncode is not None or (await store.key_counts()).get(old, 0) < left

    await eventually(begun, seconds=60)
    killed = process.returncode is None
    if killed:
        process.send_signal(signal.SIGKILL)
    assert await process.wait() in {-signal.SIGKILL, 0}
    return killed


class Slow:
    """A key encryption whose answer to `wrap` takes as long as it is told to."""

    def __init__(self, keys):
        self._keys = keys
        self.wrapped, self.go = asyncio.Event(), asyncio.Event()

    async def wrap(self, data_key, context):
        found = await self._keys.wrap(data_key, context)
        self.wrapped.set()
        await self.go.wait()
        return found

    async def unwrap(self, wrapped, context):
        return await self._keys.unwrap(wrapped, context)


async def test_R51_a_write_that_has_sealed_under_the_old_key_is_not_lost_when_that_is_retired(url, tmp_path):
    ring = tmp_path / "ring.json"
    (slow_keys, slow_context), (keys, context) = lent(ring), lent(ring)
    slow = Slow(slow_keys)
    aead = contracted.build(contracted.manifest("local", Aead), slow_context)
    slow_context.sealer = Sealer(keys=slow, aead=aead, random=slow_context.random, namespace="tests")
    async with (
        opened(slow_keys),
        opened(keys),
        sql(SecretStore, url, slow_context) as writer,
        sql(SecretStore, url, context) as store,
    ):
        write = asyncio.create_task(writer.put("a", Secret("value")))
        await slow.wrapped.wait()
        operator = service(store, keys, Later())
        (old,) = [key.key_id for key in await keys.keys()]
        await operator.rotate(actor=WORKER)
        assert await operator.rewrap(actor=WORKER) == 0
        retiring = asyncio.create_task(operator.retire(old, actor=WORKER))
        await asyncio.wait([retiring], timeout=0.3)  # who does not wait for the writer has retired it by then
        slow.go.set()
        await write
        with pytest.raises(InvalidInput, match="still seals 1 envelopes"):
            await retiring
        assert await operator.rewrap(actor=WORKER) == 1
        await operator.retire(old, actor=WORKER)
        assert (await store.get("a")).value == Secret("value")
    keys, context = lent(ring)
    async with opened(keys), sql(SecretStore, url, context) as store:
        assert (await store.get("a")).value == Secret("value")


async def test_F12_a_restored_database_opens_with_its_keys_and_with_no_others(url, tmp_path):
    """The database alone is worth nothing; with the ring and the root key it is whole."""
    ring = tmp_path / "ring.json"
    keys, context = lent(ring)
    async with opened(keys), sql(SecretStore, url, context) as store:
        await store.put("old", Secret("under the root key"))
        await keys.rotate()
        await store.put("new", Secret("under the ring"))
    keys, context = lent(ring)
    async with opened(keys), sql(SecretStore, url, context) as store:
        assert (await store.get("old")).value == Secret("under the root key")
        assert (await store.get("new")).value == Secret("under the ring")
    keys, context = lent(tmp_path / "lost.json")
    async with opened(keys), sql(SecretStore, url, context) as store:
        assert (await store.get("old")).value == Secret("under the root key")
        with pytest.raises(DecryptionFailed) as refused:
            await store.get("new")
        assert "ring file" in refused.value.line()
        operator = service(store, keys, context.clock)
        assert [(one.known, one.envelopes) for one in await operator.status()] == [(True, 1), (False, 1)]
    other = base64.b64encode(bytes(32)).decode()
    keys, context = lent(ring, root=other)
    with pytest.raises(ConfigurationError, match="another root key"):
        async with opened(keys):
            pass
    keys, context = lent(tmp_path / "lost.json", root=other)
    async with opened(keys), sql(SecretStore, url, context) as store:
        with pytest.raises(DecryptionFailed):
            await store.get("old")


async def test_R55_a_ring_that_others_can_read_is_refused(tmp_path):
    ring = tmp_path / "ring.json"
    keys, _ = lent(ring)
    async with opened(keys):
        await keys.rotate()
    assert ring.stat().st_mode & 0o777 == 0o600
    ring.chmod(0o644)
    keys, _ = lent(ring)
    with pytest.raises(ConfigurationError, match="read by others"):
        async with opened(keys):
            pass


async def test_R50_the_ring_holds_no_key_in_the_clear(tmp_path):
    ring = tmp_path / "ring.json"
    keys, _ = lent(ring)
    async with opened(keys):
        await keys.rotate()
        made = keys._keys[keys._current()]
    text = ring.read_bytes()
    assert made not in text
    assert base64.b64encode(made) not in text
    assert base64.b64decode(ROOT) not in text
