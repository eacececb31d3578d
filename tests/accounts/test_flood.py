"""A flood of logins: the pool refuses what it cannot do, and the rest of the server answers as before."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait

import argon2
import pytest
from talking import Talker

from load import Load, p99
from platform_process import serving
from residence import MIB, resident

CALLERS = 50
SECONDS = 60
RATE = 200.0
MANY = "1000000"
WORKERS, PER_HASH = 2, 46 * MIB
QUESTION = {"context": {"targetingKey": "u1"}}
CALLS = {
    "health": lambda client: client.get("/health/live"),
    "flag": lambda client: client.post("/ofrep/v1/evaluate/flags/beta", json=QUESTION),
}


def flood(url, until, patient):
    """What one caller is answered, who tries again: at once, or as it is told."""
    answers, never = [], threading.Event()
    with Talker(url) as client:
        client.timeout = 60
        while not answers or time.monotonic() < until:
            body = {"email": f"f-{secrets.token_hex(8)}@example.org", "password": "x" * 20, "mode": "token"}
            answers.append(client.post("/api/v1/auth/login", json=body))
            if patient:
                never.wait(float(answers[-1].headers.get("retry-after", "0")))
    return answers


def bare_rate(seconds):
    """Verifications a second of argon2 alone, on as many threads as the server has."""
    hasher = argon2.PasswordHasher(memory_cost=47_104, time_cost=1, parallelism=1)
    hashed, until = hasher.hash("x" * 20), time.monotonic() + seconds

    def verify(_):
        count = 0
        while time.monotonic() < until:
            hasher.verify(hashed, "x" * 20)
            count += 1
        return count

    with ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(verify, range(WORKERS))) / seconds


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_F19_a_flood_of_logins_is_refused_with_a_time_and_the_rest_is_answered(soaking):
    env = {
        "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_ADDRESS": MANY,
        "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_IN_ALL": MANY,
        "TRADESENSE_IDENTITY__ARGON2__QUEUE": "8",
        "TRADESENSE_IDENTITY__ARGON2__WORKERS": str(WORKERS),
        "TRADESENSE_TELEMETRY__LOG_FORMAT": "json",
    }
    bare = bare_rate(10) if soaking else 0.0
    with serving(env) as server:
        with Talker(server.url) as admin:
            body = {"email": server.admin_email, "password": server.admin_password, "mode": "token"}
            token = admin.post("/api/v1/auth/login", json=body).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            flag = {"variants": {"on": True, "off": False}, "default_variant": "on"}
            assert admin.put("/api/v1/flags/beta", json=flag, headers=headers).status_code == 200
        memory = resident(server.process.pid)
        began = time.monotonic()
        until = began + (SECONDS if soaking else 0)
        largest = memory
        with Load(server.url, CALLS, headers=headers, rate=RATE if soaking else 40.0) as load:
            with ThreadPoolExecutor(CALLERS) as pool:
                floods = [pool.submit(flood, server.url, until, soaking) for _ in range(CALLERS)]
                while wait(floods, timeout=0.2).not_done:
                    largest = max(largest, resident(server.process.pid))
            ended = time.monotonic()
        answers = [answer for one in floods for answer in one.result()]
        seen = load.between(began, ended)
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {401, 429, 503}, set(statuses)
    assert statuses.count(401) >= CALLERS // 5, "some are served"
    refused = [answer for answer in answers if answer.status_code != 401]
    assert refused, "the pool takes everything, however long it lasts"
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert Counter((one.name, one.status) for one in seen if one.status != 200) == {}, "who only reads is answered"
    assert {one.name for one in seen} == set(CALLS)
    assert largest - memory <= WORKERS * PER_HASH + 50 * MIB
    if not soaking:
        return
    rate = statuses.count(401) / (ended - began)
    health = [one for one in seen if one.name == "health"]
    lag = sorted(one.seconds for one in health)[int(len(health) * 0.95)]
    print(  # noqa: T201  # figures of the experiment
        f"{rate:.1f} logins/s of {bare:.1f} bare, {len(refused)} refused, health p95 {lag * 1000:.0f} ms, "
        f"p99 {p99(health) * 1000:.0f} ms, {len(seen) / (ended - began):.0f} reads/s, "
        f"+{(largest - memory) / MIB:.0f} MiB"
    )
    assert p99(health) < 0.25
    assert lag < 0.1, "health does nothing but wait for its turn of the loop"
    assert rate >= 0.8 * bare
