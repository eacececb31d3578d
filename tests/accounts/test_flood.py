"""A flood of logins: the pool refuses what it cannot do, and the rest of the server answers as before."""

from __future__ import annotations

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from talking import Talker

from platform_process import serving

CALLERS = 50
ROUNDS = 3
MANY = "1000000"


def test_F19_a_flood_of_logins_is_refused_with_a_time_and_health_stays_quick():
    env = {
        "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_ADDRESS": MANY,
        "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_IN_ALL": MANY,
        "TRADESENSE_IDENTITY__ARGON2__QUEUE": "8",
        "TRADESENSE_TELEMETRY__LOG_FORMAT": "json",
    }
    with serving(env) as server:
        flooding = threading.Event()
        flooding.set()

        def flood(number):
            answers = []
            with Talker(server.url) as client:
                client.timeout = 60
                for _ in range(ROUNDS):
                    body = {"email": f"f{number}-{secrets.token_hex(6)}@example.org", "password": "x" * 20}
                    answers.append(client.post("/api/v1/auth/login", json={**body, "mode": "token"}))
            return answers

        def watch():
            waits = []
            with Talker(server.url) as client:
                while flooding.is_set():
                    began = time.monotonic()
                    assert client.get("/health/live").status_code == 200
                    waits.append(time.monotonic() - began)
            return waits

        with ThreadPoolExecutor(CALLERS + 1) as pool:
            watching = pool.submit(watch)
            answers = [answer for found in pool.map(flood, range(CALLERS)) for answer in found]
            flooding.clear()
            waits = sorted(watching.result(60))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) <= {401, 429, 503}, statuses
        assert statuses.count(401) >= CALLERS // 5, "some are served"
        refused = [answer for answer in answers if answer.status_code != 401]
        assert refused, "the pool takes everything, however long it lasts"
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        # One password takes a tenth of a second, and those that waited took seconds: health waited for none of them.
        assert waits[len(waits) // 2] < 0.25, f"half of {len(waits)} checks took over {waits[len(waits) // 2]:.3f} s"
