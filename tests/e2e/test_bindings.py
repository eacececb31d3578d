"""HTTP, the command line and the worker put the same adapters behind the same ports."""

from __future__ import annotations

import json
import signal
import subprocess

from client import Api
from platform_process import Runner, command, environment, serving
from servers import reachable_folder, wait_until

CHOICES = {
    "TRADESENSE_FLAGS__PROVIDER": "memory",
    "TRADESENSE_CACHE__LOCKS": "sql",
    "TRADESENSE_IDENTITY__MESSENGER": "memory",
    "TRADESENSE_TELEMETRY__LOG_FORMAT": "json",
}


def test_three_entrypoints_resolve_the_same_bindings():
    with reachable_folder() as folder:
        with serving(CHOICES, folder=folder) as server, Api(server.url) as api:
            api.login(server.admin_email, server.admin_password)
            by_http = api.client.get("/api/v1/plugins").json()["bindings"]
        by_command = bindings_of_the_command(Runner(folder))
        by_worker = bindings_of_the_worker(folder)
    assert by_http["flags.FlagStore"].startswith("memory ")
    assert by_http["cache.LockProvider"].startswith("sql ")
    assert by_http == by_command == by_worker


def bindings_of_the_command(runner: Runner) -> dict[str, str]:
    rows = json.loads(runner("doctor", "-o", "json", env=CHOICES).out)
    return {row["check"].removeprefix("port "): row["detail"] for row in rows if row["check"].startswith("port ")}


def bindings_of_the_worker(folder) -> dict[str, str]:
    log = folder / "worker.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [command(), "worker"], cwd=folder, env=environment(folder, CHOICES), stdout=stream, stderr=stream
        )
        try:
            wait_until(lambda: "worker ready" in log.read_text(), "the worker", seconds=30)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return {event["port"]: event["adapter"] for event in events if event["event"] == "binding"}
