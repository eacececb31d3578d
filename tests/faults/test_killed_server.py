"""A server that is killed in the middle of writing loses nothing that it has acknowledged."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2

from client import Api
from platform_process import Runner, serving
from servers import reachable_folder

WRITES = 200
BEFORE_THE_KILL = 80


def test_kill_in_the_middle_of_200_writes_loses_no_acknowledged_one():
    with reachable_folder() as folder:
        acknowledged = write_until_killed(folder)
        assert len(acknowledged) >= BEFORE_THE_KILL
        assert len(acknowledged) < WRITES
        with serving({}, folder=folder) as server, Api(server.url) as api:
            runner = Runner(folder)
            api.login(*administrator(runner))
            for number in sorted(acknowledged):
                stored = api.client.get(f"/api/v1/secrets/kill/{number}")
                assert (stored.status_code, stored.json()["value"]) == (200, f"value-{number}")
        verified = runner("audit", "verify")
        assert verified.code == 0, verified.err


def administrator(runner: Runner) -> tuple[str, str]:
    """Another administrator, as the password of the first was printed once and is gone."""
    password = "another long passphrase 43"
    done = runner("users", "create", "second@example.org", "--role", "admin", "--password-stdin", stdin=f"{password}\n")
    assert done.code == 0, done.err
    return "second@example.org", password


def write_until_killed(folder) -> set[int]:
    """The numbers of the writes that were answered with success before SIGKILL."""
    acknowledged: set[int] = set()
    enough = threading.Event()
    with serving({}, folder=folder) as server, Api(server.url) as api:
        api.login(server.admin_email, server.admin_password)

        def write(number: int) -> None:
            try:
                answer = api.client.put(f"/api/v1/secrets/kill/{number}", json={"value": f"value-{number}"})
            except httpx2.HTTPError:
                return
            if answer.status_code == 200:
                acknowledged.add(number)
                if len(acknowledged) >= BEFORE_THE_KILL:
                    enough.set()

        with ThreadPoolExecutor(8) as pool:
            for number in range(WRITES):
                pool.submit(write, number)
            assert enough.wait(60)
            server.process.send_signal(signal.SIGKILL)
    return acknowledged
