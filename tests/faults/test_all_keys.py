"""All keys of a deployment change under load: those of secrets, of tokens and of forms. Nobody is refused meanwhile."""

from __future__ import annotations

import asyncio
import base64
import itertools
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from platform_process import command, environment
from tradesense.core.audit.models import WORKER
from tradesense.core.errors import InvalidInput
from tradesense.core.sensitive import Secret
from tradesense.core.testing import eventually
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.database import upgrade_database
from tradesense.entrypoints.http.administrator import first_administrator
from tradesense.entrypoints.http.app import create_app
from tradesense.entrypoints.http.lifespan import background
from tradesense.settings.load import load

SITE = "http://127.0.0.1:8000"
SECRETS = 150
"""More than are rewrapped at once, so that a rewrapping can be killed when it has done a part."""
RATE = {True: 50, False: 15}
"""Requests a second, of an experiment that is run whole and of its short form."""
AT_ONCE = 16
"""A machine that is slower than the rate asks less often; it does not pile requests up."""
OLD = {"jwt": "o" * 40, "csrf": "p" * 40}
NEW = {"jwt": "n" * 40, "csrf": "q" * 40}
JOSE = "TRADESENSE_IDENTITY__JOSE__"


def keys(first, name, other=None, others_name=""):
    """The settings of a process that signs with the keys of `first` and takes those of `other` as well."""
    made = {
        f"{JOSE}SECRET": first["jwt"],
        f"{JOSE}KEY_ID": name,
        "TRADESENSE_IDENTITY__CSRF_KEY": first["csrf"],
    }
    if other:
        made |= {
            f"{JOSE}KEYS__{others_name}": other["jwt"],
            "TRADESENSE_IDENTITY__CSRF_OTHER_KEY": other["csrf"],
        }
    return made


class Processes:
    """Server processes with settings of their own, over one database: here they share a Python as well."""

    def __init__(self, env):
        self._env = env
        self._stack = AsyncExitStack()

    async def __aenter__(self):
        await upgrade_database(load(self._env, directory=Path(self._env["HOME"])).settings)
        return self

    async def __aexit__(self, *details):
        await self._stack.__aexit__(*details)

    async def start(self, changed):
        """The services of a new one, and what asks it."""
        settings = load(self._env | changed, directory=Path(self._env["HOME"])).settings
        services = await self._stack.enter_async_context(open_container(settings))
        await self._stack.enter_async_context(background(services))
        transport = httpx2.ASGITransport(app=create_app(services))
        asking = httpx2.AsyncClient(transport=transport, base_url=SITE, timeout=60)
        return services, await self._stack.enter_async_context(asking)


class Person:
    """The administrator, logged in at a server for a page and for a program."""

    async def log_in(self, server, email, password):
        before = await server.get("/api/v1/auth/csrf")
        headers = {"X-CSRF-Token": before.json()["csrf_token"], "Origin": SITE}
        body = {"email": email, "password": password}
        done = (await server.post("/api/v1/auth/login", json=body, headers=headers)).raise_for_status()
        session = "; ".join(f"{name}={value}" for name, value in server.cookies.items())
        self.page = {"X-CSRF-Token": done.json()["csrf_token"], "Origin": SITE, "Cookie": session}
        server.cookies.clear()
        done = (await server.post("/api/v1/auth/login", json=body | {"mode": "token"})).raise_for_status()
        self.program = {"Authorization": f"Bearer {done.json()['access_token']}"}

    async def reads(self, server, number):
        return await server.get(f"/api/v1/secrets/s/{number}", headers=self.program)

    async def writes(self, server, number):
        body = {"value": f"value {number}"}
        return await server.put(f"/api/v1/secrets/s/{number}", json=body, headers=self.page)


class Load:
    """Reads and writes as all persons at all servers that there are at the moment, so many a second."""

    def __init__(self, people, servers, rate):
        self.people, self.servers, self.rate = people, servers, rate
        self.refused, self.asked = [], 0
        self._over, self._turns = asyncio.Event(), itertools.count()

    async def run(self):
        await asyncio.gather(*(self._connection() for _ in range(AT_ONCE)))

    async def over(self, running):
        self._over.set()
        await running

    async def _connection(self):
        loop = asyncio.get_running_loop()
        while not self._over.is_set():
            began = loop.time()
            await self._ask(next(self._turns))
            await asyncio.sleep(max(0.0, AT_ONCE / self.rate - (loop.time() - began)))

    async def _ask(self, turn):
        person, server = self.people[turn % len(self.people)], self.servers[turn // 2 % len(self.servers)]
        number, writes = turn % SECRETS, turn % 10 in {4, 9}
        answer = await (person.writes if writes else person.reads)(server, number)
        self.asked += 1
        if answer.status_code != 200 or (not writes and answer.json()["value"] != f"value {number}"):
            self.refused.append((answer.status_code, answer.text[:200]))


async def rewrapping_is_killed(operator, env):
    """Begin to rewrap in a process of its own, and end that by SIGKILL as soon as it has done something."""
    began = {report.key_id: report.envelopes for report in await operator.status()}
    rewrapping = await asyncio.create_subprocess_exec(
        command(), "keys", "rewrap", cwd=env["HOME"], env=env, stdout=asyncio.subprocess.DEVNULL
    )

    async def begun():
        """Less is under an old key than there was."""
        left = {report.key_id: report.envelopes for report in await operator.status() if not report.current}
        return rewrapping.returncode is not None or any(left[key] < began[key] - SECRETS // 3 for key in left)

    await eventually(begun, seconds=60)
    killed = rewrapping.returncode is None
    if killed:
        rewrapping.kill()
    assert await rewrapping.wait() in {-9, 0}
    return killed


async def retired(operator, key_id):
    """Rewrap and retire that key, as soon as no process can still wrap with it."""

    async def settled():
        """The old key seals nothing, and is retired."""
        await operator.rewrap(actor=WORKER)
        try:
            await operator.retire(key_id, actor=WORKER)
        except InvalidInput:
            await asyncio.sleep(0.2)
            return False
        return True

    await eventually(settled, seconds=60)
    assert key_id not in {report.key_id for report in await operator.status()}


@pytest.mark.soak
@pytest.mark.timeout(240)
async def test_F11_R51_every_key_changes_under_load_and_nobody_is_refused(postgres_url, soaking, tmp_path, monkeypatch):
    """The short form kills no rewrapping: `test_rotated_keys.py` does, over stores of their own."""
    if not soaking:  # every process looks at the ring each second
        monkeypatch.setattr("tradesense.core.secrets.keys.SETTLED", timedelta(seconds=2))
    env = environment(
        tmp_path,
        {
            "DATABASE_URL": postgres_url,
            "TRADESENSE_SECRETS__PROVIDER": "sql",
            "TRADESENSE_SECRETS__LOCAL__ROOT_KEY": base64.b64encode(bytes(range(32))).decode(),
            "TRADESENSE_SECRETS__LOCAL__RING_FILE": f"{tmp_path}/ring.json",
        },
    )
    async with Processes(env) as processes:
        services, before = await processes.start(keys(OLD, "old", NEW, "new"))
        made = await first_administrator(services)
        for number in range(SECRETS):
            await services.secrets.put(f"s/{number}", Secret(f"value {number}"), actor=WORKER)
        old, new = Person(), Person()
        await old.log_in(before, made.email, made.password.reveal())
        load = Load([old], [before], RATE[soaking])
        running, began = asyncio.create_task(load.run()), asyncio.get_running_loop().time()

        changed = keys(NEW, "new", OLD, "old")
        services, after = await processes.start(changed)
        load.servers.append(after)
        await new.log_in(after, made.email, made.password.reveal())
        load.people.append(new)
        killed = 0
        for _ in range(3 if soaking else 1):
            (*_, current) = [report.key_id for report in await services.keys.status()]
            await services.keys.rotate(actor=WORKER)
            if soaking:
                killed += await rewrapping_is_killed(services.keys, env | changed)
            load.servers[:] = [after]
            await retired(services.keys, current)
            load.servers[:] = [before, after]
        assert killed or not soaking, "no rewrapping was killed on its way"
        if soaking:
            await asyncio.sleep(60 - (asyncio.get_running_loop().time() - began))
        await load.over(running)
        assert load.refused == []
        assert load.asked > RATE[soaking]

        _, alone = await processes.start(keys(NEW, "new"))
        assert (await old.reads(alone, 0)).status_code == 401
        assert (await new.reads(alone, 0)).json()["value"] == "value 0"
        assert (await old.writes(alone, 0)).status_code == 403
        assert (await new.writes(alone, 0)).status_code == 200
