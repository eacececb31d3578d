"""The same platform on PostgreSQL, Valkey and OpenBao: two servers' processes and a worker, by settings alone."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path

import pytest

from client import PASSWORD, Api
from platform_process import Runner, command, environment, serving
from servers import reachable_folder, wait_until

ADMIN = "admin@example.org"
WITHIN = 1.0
"""Seconds until a change of a flag is seen by everybody."""
CHANGES, ENOUGH, PATIENCE = 10, 3, 90.0
KEYS = {
    "JWT_SECRET_KEY": "jwt-key-of-the-test-0123456789abcdef",
    "TRADESENSE_IDENTITY__CSRF_KEY": "csrf-key-of-the-test-0123456789abcd",
    "TRADESENSE_AUDIT__KEY": "audit-key-of-the-test-0123456789abcd",
}


@pytest.fixture
def grown(postgres_url, valkey_url, openbao):
    return {
        "ENVIRONMENT": "staging",
        "DATABASE_URL": postgres_url,
        "REDIS_URL": valkey_url,
        "TRADESENSE_SECRETS__PROVIDER": "vault",
        "TRADESENSE_SECRETS__VAULT__URL": openbao.address,
        "TRADESENSE_SECRETS__VAULT__TOKEN": openbao.token,
        "TRADESENSE_SECRETS__VAULT__MOUNT": openbao.mount,
        # So that what is seen at once is not found by asking.
        "TRADESENSE_FLAGS__REFRESH": "60",
        **KEYS,
    }


@contextlib.contextmanager
def working(env: dict[str, str], folder: Path):
    """`tradesense worker` as a process; its output so far."""
    log = folder / "worker.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [command(), "worker"], cwd=folder, env=environment(folder, env), stdout=stream, stderr=stream
        )
        try:
            wait_until(lambda: "worker ready" in log.read_text(), "the worker", seconds=30)
            yield log
        finally:
            process.terminate()
            assert process.wait(30) == 0, log.read_text()


def quick_changes(api: Api, url: str) -> int:
    """How many of some changes of a flag, three at most, were seen within a second by all clients of both processes."""
    from openfeature.contrib.provider.ofrep import OFREPProvider  # noqa: PLC0415  # only this test needs it
    from openfeature.evaluation_context import EvaluationContext  # noqa: PLC0415  # the same

    bearer = {"Authorization": api.client.headers["Authorization"]}
    # Each has a connection of its own, so that both processes answer some of them.
    providers = [OFREPProvider(url, headers_factory=lambda: bearer, timeout=20) for _ in range(8)]
    quick = 0
    for number in range(CHANGES):
        body = {"variants": {"it": number}, "default_variant": "it"}
        assert api.client.put("/api/v1/flags/told", json=body).status_code == 200
        since = time.monotonic()
        for provider in providers:
            while provider.resolve_integer_details("told", -1, EvaluationContext("u")).value != number:
                assert time.monotonic() < since + PATIENCE, f"the change {number} was not seen"
        quick += time.monotonic() - since < WITHIN
        if quick == ENOUGH:
            break
    for provider in providers:
        provider.session.close()
    return quick


def test_two_processes_and_a_worker_share_one_platform(grown):
    with reachable_folder() as folder:
        runner = Runner(folder)
        made = runner("init", "--email", ADMIN, "--password-stdin", env=grown, stdin=f"{PASSWORD}\n")
        assert made.code == 0, made.err
        with (
            serving(grown, "--processes", "2", folder=folder) as server,
            working(grown, folder) as log,
            Api(server.url) as api,
        ):
            assert api.register("ada@example.org").status_code == 202
            wait_until(lambda: "ada@example.org" in log.read_text(), "the welcome mail", seconds=20)
            api.login(ADMIN)
            answer = api.client.put("/api/v1/secrets/team-a/key", json={"value": "s3cret"})
            assert answer.json()["provider"] == "vault"
            for _ in range(20):  # whichever process answers
                with Api(server.url) as other:
                    other.client.headers["Authorization"] = api.client.headers["Authorization"]
                    assert other.client.get("/api/v1/secrets/team-a/key").json()["value"] == "s3cret"
            # By asking alone, one of sixty would be seen as quickly; a busy machine may miss some that are told.
            assert quick_changes(api, server.url) == ENOUGH
        verified = runner("audit", "verify", env=grown)
        assert verified.code == 0, verified.err
        read = runner("secrets", "get", "team-a/key", env=grown)
        assert (read.code, read.out.strip()) == (0, "s3cret")
